"""What shall be done later, once or again and again, and what came of each time."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from hosts.models import Operation


class Schedule(models.Model):
    """A verb on a workload, or the making of a new one, at its due times. It acts with its owner's rights.

    `beat` rings when it is due; whether it really is, and whether it was done, these tables alone say.
    """

    class Missed(models.TextChoices):
        SKIP = "skip", "leave it out"
        CATCH_UP = "catch-up", "do it once, late"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    verb = models.CharField(max_length=20)
    workload = models.ForeignKey(
        "workloads.Workload", null=True, blank=True, on_delete=models.CASCADE, related_name="schedules"
    )
    wish = models.JSONField(default=dict, blank=True)  # of a new workload: what its form says
    secret_encrypted = models.BinaryField(default=bytes, blank=True)  # what it is told at its first boot
    cron = models.CharField(max_length=100, blank=True)  # empty: once
    time_zone = models.CharField(max_length=64, default="UTC")
    missed = models.CharField(max_length=8, choices=Missed, default=Missed.SKIP)
    window_minutes = models.PositiveIntegerField(default=15)  # so late it may begin and was not missed
    is_enabled = models.BooleanField(default=True)
    next_due_at = models.DateTimeField(null=True, db_index=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    owner_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    beat = models.OneToOneField(
        "django_celery_beat.PeriodicTask", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ScheduleRun(models.Model):
    """One due time of a schedule. That there is one row for each makes sure that it is done once."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs")
    due_at = models.DateTimeField()
    begun_at = models.DateTimeField()
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="+")
    sentence = models.CharField(max_length=500, blank=True)  # why there is no operation

    class Meta:
        ordering = ["-due_at"]
        constraints = [models.UniqueConstraint(fields=["schedule", "due_at"], name="one_run_per_due_time")]

    def __str__(self) -> str:
        return f"{self.schedule} at {self.due_at}"
