"""Who is told of alerts: the channels, and the outbox of what goes to them."""

from __future__ import annotations

import uuid

from django.db import models

from datacenter.models.alert import Alert


class NotificationChannel(models.Model):
    """Where notices go. The address holds passwords: kept encrypted, never shown again; `shown` is what may be seen."""

    class Kind(models.TextChoices):
        MAIL = "mail", "mail"
        WEBHOOK = "webhook", "webhook"
        SLACK = "slack", "Slack-compatible"
        NTFY = "ntfy", "ntfy"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=7, choices=Kind)
    address_encrypted = models.BinaryField(editable=False)
    shown = models.CharField(max_length=200)
    is_enabled = models.BooleanField(default=True)
    last_sent_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(
        max_length=300, blank=True, editable=False
    )  # of the last attempt; empty: it went through
    test_asked_at = models.DateTimeField(null=True, editable=False)  # a test that waits to be sent
    test_asked_by_name = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    @property
    def health(self) -> str:
        """How its last message went, as a word."""
        if self.test_asked_at is not None:
            return "being tested"
        if self.failure:
            return "failing"
        return "working" if self.last_sent_at else "not tried yet"

    def __str__(self) -> str:
        return self.name


class AlertNotice(models.Model):
    """One event of one alert for one channel: written with the event, sent by a task (services.notices)."""

    class Event(models.TextChoices):
        FIRED = "fired", "fired"
        REMINDER = "reminder", "still firing"
        RESOLVED = "resolved", "resolved"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        SENDING = "sending", "being sent"
        SENT = "sent", "sent"
        FAILED = "failed", "failed"
        DROPPED = "dropped", "dropped"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notices")
    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=8, choices=Event)
    number = models.PositiveIntegerField(default=0)  # of reminders
    group = models.CharField(max_length=60)  # of one rule and event: what waits together goes out as one message
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField()
    claim = models.UUIDField(null=True)  # of the worker that sends it
    claimed_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel", "event", "number"], name="one_notice_per_event")
        ]
        indexes = [models.Index(fields=["state", "next_try_at"], name="notice_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}"
