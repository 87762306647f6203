"""Wakes: each time a host that was off was switched on from here, and how long it took until its plane spoke."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host
from hosts.models.operation import Operation


class Wake(models.Model):
    """One wake of a host, passed or not; a passed one proves that the host can be woken."""

    class Origin(models.TextChoices):
        DRILL = "drill", "drill"
        PLAN = "plan", "plan"
        HAND = "hand", "by hand"

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="wakes")
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="wake")
    origin = models.CharField(max_length=5, choices=Origin)
    began_at = models.DateTimeField()  # when its BMC was asked for power
    seconds = models.FloatField(null=True)  # until its host plane answered; empty when it did not
    passed = models.BooleanField()
    why_not = models.TextField(blank=True)  # the sentence of a wake that failed

    class Meta:
        ordering = ["-began_at", "-pk"]
        indexes = [models.Index(fields=["host", "-began_at"])]

    def __str__(self) -> str:
        return f"{self.host} {self.began_at:%Y-%m-%d %H:%M:%S}"
