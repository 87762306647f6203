"""What is watched, what is wrong, and what is kept quiet."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from hosts.models import Host, Site
from workloads.models import Workload

LONGEST_S = 7 * 86400


class AlertRule(models.Model):
    """When somebody is to be told. `threshold` is in the unit of what is watched (datacenter.alerts.watched)."""

    class Kind(models.TextChoices):
        METRIC = "metric", "a metric"
        EVENT = "event", "an event"

    class Event(models.TextChoices):
        HOST_LOST = "host_lost", "a host is lost"
        WORKLOAD_CRASHED = "workload_crashed", "a VM or container crashed"
        OPERATION_STUCK = "operation_stuck", "an operation needs attention"
        POOL_NEARLY_FULL = "pool_nearly_full", "a pool is nearly full"
        FULL_SOON = "full_soon", "a forecast says full soon"
        PLAN_WAITS = "plan_waits", "a plan of the autopilot waits for approval"
        WORKLOAD_EXPIRES = "workload_expires", "the time of a VM or container is nearly over"
        HOST_DUE = "host_due", "a host with another job is due back"
        MAINTENANCE_PAUSED = "maintenance_paused", "a maintenance was paused by itself"
        ALERTING_BLIND = "alerting_blind", "alerting is blind"

    class Scope(models.TextChoices):
        ALL = "all", "everything"
        SITE = "site", "one site"
        HOST = "host", "one host"
        WORKLOAD = "workload", "one workload"

    class Comparison(models.TextChoices):
        ABOVE = "above", "above"
        BELOW = "below", "below"

    class Severity(models.TextChoices):
        CRITICAL = "critical", "critical"
        WARNING = "warning", "warning"
        INFO = "info", "info"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(max_length=6, choices=Kind)
    metric = models.CharField(max_length=80, blank=True)
    event = models.CharField(max_length=20, choices=Event, blank=True)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ALL)
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    workload = models.ForeignKey(Workload, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    comparison = models.CharField(max_length=5, choices=Comparison, default=Comparison.ABOVE)
    threshold = models.FloatField(null=True, blank=True)
    for_s = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(LONGEST_S)])
    # how far back, in percent of the threshold, before it counts as over: a value around the threshold must not flap
    margin_percent = models.FloatField(default=5, validators=[MinValueValidator(0), MaxValueValidator(90)])
    remind_hours = models.PositiveSmallIntegerField(default=24)  # 0: told once
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.WARNING)
    is_enabled = models.BooleanField(default=True)
    channels = models.ManyToManyField("datacenter.NotificationChannel", blank=True, related_name="rules")
    evaluated_at = models.DateTimeField(null=True, editable=False)
    failure = models.CharField(max_length=300, blank=True)  # why it could not be evaluated lately
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Alert(models.Model):
    """One thing that one rule found wrong, from its first sign to its end."""

    class State(models.TextChoices):
        PENDING = "pending", "pending"  # wrong, but not for long enough yet
        FIRING = "firing", "firing"
        RESOLVED = "resolved", "resolved"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="alerts")
    rule_name = models.CharField(max_length=80)  # stays when the rule is removed
    severity = models.CharField(max_length=8, choices=AlertRule.Severity)
    thing_kind = models.CharField(max_length=20)  # host, vm, container, pool, operation, store
    thing_id = models.CharField(max_length=64)
    thing_name = models.CharField(max_length=200)
    site = models.ForeignKey(Site, null=True, on_delete=models.SET_NULL, related_name="+")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="alerts")  # where the thing is
    state = models.CharField(max_length=8, choices=State, default=State.PENDING)
    value = models.FloatField(null=True)
    sentence = models.CharField(max_length=400)
    since = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField()  # the last reading; an old one means that nobody knows
    clear_since = models.DateTimeField(null=True)  # firing, and not wrong since
    resolved_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by_name = models.CharField(max_length=150, blank=True)
    silenced_by = models.CharField(max_length=300, blank=True)  # why nobody is told; empty: they are
    told_at = models.DateTimeField(null=True)  # when the notices of it were written
    reminded_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "thing_kind", "thing_id"],
                condition=models.Q(state__in=["pending", "firing"]),
                name="one_open_alert_per_rule_and_thing",
            )
        ]
        indexes = [
            models.Index(fields=["state", "since"], name="alert_by_state"),
            models.Index(fields=["thing_id", "state"], name="alert_by_thing"),
        ]

    @property
    def is_unread(self) -> bool:
        """Whether an open alert has had no reading for minutes: how the thing stands nobody knows."""
        is_open = self.state != self.State.RESOLVED
        # a forecast is looked at every five minutes
        return is_open and timezone.now() - self.last_seen_at > timedelta(minutes=7)

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.thing_name}"


class Silence(models.Model):
    """Alerts that fit all of what is given are recorded, but nobody is told, until then."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(AlertRule, null=True, blank=True, on_delete=models.CASCADE, related_name="silences")
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    host = models.ForeignKey(Host, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    thing_kind = models.CharField(max_length=20, blank=True)
    thing_id = models.CharField(max_length=64, blank=True)
    thing_name = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=200)
    by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField(db_index=True)
    ended_by_name = models.CharField(max_length=150, blank=True)  # ended by hand, before its time

    class Meta:
        ordering = ["-until"]

    def __str__(self) -> str:
        return f"silence of {self.by_name} until {self.until:%Y-%m-%d %H:%M}"
