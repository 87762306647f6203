"""Operations, the journal that is their truth, and the leases they hold."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone

from hosts.models.host import Host


class Operation(models.Model):
    """One run of a saga. `state` is the fold of its entries, kept for lists."""

    class State(models.TextChoices):
        QUEUED = "queued", "queued"
        RUNNING = "running", "running"
        UNDOING = "undoing", "undoing"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        CANCELLED = "cancelled", "cancelled"
        STUCK = "stuck", "needs attention"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)  # the saga's name
    parameters = models.JSONField(default=dict)
    subject_kind = models.CharField(max_length=20)
    subject_id = models.CharField(max_length=64, db_index=True)
    subject_name = models.CharField(max_length=200)
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="operations")
    target_host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="incoming_operations")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, db_index=True)
    message = models.TextField(blank=True)  # the sentence of a failure
    progress_percent = models.FloatField(null=True)
    progress_text = models.CharField(max_length=300, blank=True)
    progress_data = models.JSONField(default=dict)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=150)
    idempotency_key = models.CharField(max_length=100, null=True, unique=True)
    cancel_requested_at = models.DateTimeField(null=True)
    # plane -> when it ended its last step, in epoch seconds of its own clock: what it observed earlier is older news
    reported_at = models.JSONField(default=dict)
    heartbeat_at = models.DateTimeField(null=True)  # the last sign of life of the step under way
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)
    finished_at = models.DateTimeField(null=True, db_index=True)  # each observation asks who ended just now

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject_name}"


class Entry(models.Model):
    """A line of an operation's journal; appended, never changed."""

    class Kind(models.TextChoices):
        STARTED = "started", "started"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        UNDO_STARTED = "undo_started", "undo started"
        UNDONE = "undone", "undone"
        UNDO_FAILED = "undo_failed", "undo failed"
        NOTED = "noted", "noted"

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="entries")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=12, choices=Kind)
    step = models.CharField(max_length=60)
    attempt = models.PositiveIntegerField(default=1)
    data = models.JSONField(default=dict)  # started: the command; done: the output; failed: the error
    created_at = models.DateTimeField(default=timezone.now)  # the engine gives the database's time

    class Meta:
        ordering = ["operation", "number"]
        constraints = [models.UniqueConstraint(fields=["operation", "number"], name="entry_number_unique")]

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.step}"


class Lease(models.Model):
    """Who may act on a thing. The row stays when the lease ends: its generation only ever grows."""

    thing_kind = models.CharField(max_length=20)
    thing_id = models.CharField(max_length=64)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="leases")
    generation = models.PositiveBigIntegerField(default=0)
    taken_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["thing_kind", "thing_id"], name="one_lease_per_thing")]

    def __str__(self) -> str:
        return f"{self.thing_kind} {self.thing_id} generation {self.generation}"
