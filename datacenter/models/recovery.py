"""Recoveries of lost hosts: what was known, how the host was fenced, and what became of each workload."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models import Host, Operation
from workloads.models import Workload


class Recovery(models.Model):
    """One loss of a host, from its silence to the end. At most one of a host is open."""

    class State(models.TextChoices):
        ASKED = "asked", "waits for a person"
        FENCING = "fencing", "fencing"
        STOPPED = "stopped", "not fenced"  # nothing is started; the operator is asked
        RESTARTING = "restarting", "restarting"
        DONE = "done", "done"
        ENDED = "ended", "came back"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="recoveries")
    state = models.CharField(max_length=10, choices=State, default=State.ASKED)
    sentence = models.TextField(blank=True)
    lost_since = models.DateTimeField()  # the host's last sign of life
    evidence = models.JSONField(default=list)  # sentences
    fence = models.ForeignKey(Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    begun_at = models.DateTimeField(null=True, blank=True)
    fenced_at = models.DateTimeField(null=True, blank=True)
    declared_dead_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "recoveries"
        constraints = [
            models.UniqueConstraint(
                fields=["host"], condition=models.Q(finished_at=None), name="one_open_recovery_per_host"
            )
        ]

    def __str__(self) -> str:
        return f"recovery of {self.host}"

    @property
    def detect_seconds(self) -> float:
        return (self.created_at - self.lost_since).total_seconds()

    @property
    def fence_seconds(self) -> float | None:
        return (self.fenced_at - self.begun_at).total_seconds() if self.fenced_at and self.begun_at else None

    @property
    def start_seconds(self) -> float | None:
        done = self.fenced_at and self.finished_at and self.state == self.State.DONE
        return (self.finished_at - self.fenced_at).total_seconds() if done else None  # type: ignore[operator]


class RecoveredWorkload(models.Model):
    """What became of one workload of a lost host."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "starting"
        DONE = "done", "runs again"
        FAILED = "failed", "failed"
        LEFT = "left", "not restarted"

    recovery = models.ForeignKey(Recovery, on_delete=models.CASCADE, related_name="workloads")
    workload = models.ForeignKey(Workload, null=True, on_delete=models.SET_NULL, related_name="+")
    name = models.CharField(max_length=63)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    sentence = models.TextField(blank=True)
    target = models.ForeignKey(Host, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    operation = models.ForeignKey(Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["recovery", "workload"], name="recovered_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.recovery}"
