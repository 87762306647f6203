"""What a freed host is for, and what is kept of one that left for good."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models.host import Host


class HostJob(models.Model):
    """Another job than carrying this data center's workloads; a host without a row has none."""

    class Kind(models.TextChoices):
        SPARE = "spare", "spare"
        QA = "qa", "QA"
        DEVELOPMENT = "development", "development"
        LAB = "lab", "lab"
        OTHER = "other", "something else"

    host = models.OneToOneField(Host, on_delete=models.CASCADE, related_name="job")
    kind = models.CharField(max_length=11, choices=Kind)
    note = models.CharField(max_length=200, blank=True)
    until = models.DateField(null=True, blank=True)  # when it shall come back; none: open
    given_by_name = models.CharField(max_length=150)
    given_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.host}: {self.get_kind_display()}"


class Decommission(models.Model):
    """The record of a host that was taken out of service. Never changed; the signature tells whether it was."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host_name = models.CharField(max_length=63)
    document = models.JSONField()  # what `signature` is of
    signature = models.CharField(max_length=64)  # HMAC-SHA256 under the installation's secret key, hexadecimal
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.host_name}, {self.at:%Y-%m-%d}"
