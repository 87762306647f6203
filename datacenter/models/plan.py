"""Plans: what the planner proposed, who approved it, and how each move went."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from hosts.models import Host, Operation, Site
from workloads.models import Workload

AUTOPILOT = "autopilot"  # the account that acts for nobody


class Plan(models.Model):
    class State(models.TextChoices):
        PLANNING = "planning", "being planned"
        PROPOSED = "proposed", "proposed"
        RUNNING = "running", "running"
        DONE = "done", "done"
        STOPPED = "stopped", "stopped"
        REJECTED = "rejected", "rejected"
        FAILED = "failed", "planning failed"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="plans")
    state = models.CharField(max_length=9, choices=State, default=State.PLANNING, db_index=True)
    reason = models.TextField(blank=True)  # why it stopped or failed
    best_so_far = models.JSONField(default=dict)  # while being planned: {"hosts_on", "least"}
    is_search_ended = models.BooleanField(default=False)  # a person took the best so far
    document = models.JSONField(default=dict)  # planner's Plan.to_data(), with the data center it was made for
    changes_that_free = models.JSONField(
        default=dict
    )  # host uuid -> the smallest change that would free it, a sentence
    savings = models.JSONField(default=dict)
    world_fingerprint = models.CharField(max_length=64, blank=True)
    hosts_on_before = models.PositiveIntegerField(default=0)
    hosts_on_after = models.PositiveIntegerField(default=0)
    requested_by_name = models.CharField(max_length=150)
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    approved_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(null=True)  # while it runs: no further act begins
    paused_by_name = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["site"], condition=models.Q(state="running"), name="one_running_plan_per_site"
            )
        ]

    @property
    def is_automatic(self) -> bool:
        """Whether no person approved it: it goes ahead by the word of nobody, or of the autopilot."""
        if self.approved_at is None:
            return False
        return self.approved_by is None or self.approved_by.get_username() == AUTOPILOT

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing; a query only where no host is freed."""
        return self.hosts_on_after == self.hosts_on_before and not self.actions.exists()

    def __str__(self) -> str:
        return f"plan of {self.site} at {self.created_at:%Y-%m-%d %H:%M}"


class PlanAction(models.Model):
    """One act of a plan: a move, a host's power-off once it is empty, or its power-on before work goes there."""

    class Kind(models.TextChoices):
        MOVE = "move", "move"
        POWER_OFF = "power_off", "power off"
        POWER_ON = "power_on", "power on"

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "failed"
        DROPPED = "dropped", "dropped"

    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="actions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=Kind)
    workload = models.ForeignKey(Workload, null=True, on_delete=models.SET_NULL, related_name="+")
    workload_name = models.CharField(max_length=63, blank=True)
    source = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    target = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    after = models.JSONField(default=list)  # numbers of actions that must be done first
    reason = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    sentence = models.TextField(blank=True)  # why it failed or was dropped
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="plan_action")

    class Meta:
        ordering = ["plan", "number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plan_action_number_unique")]

    def __str__(self) -> str:
        return f"{self.number} {self.kind} {self.workload_name}"
