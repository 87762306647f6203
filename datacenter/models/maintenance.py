"""Maintenance of hosts: which are emptied, in what order, and how far each has come."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from datacenter.models.plan import Plan
from hosts.models import Host, Operation, Site


class MaintenanceRun(models.Model):
    """One host that is emptied and stays in maintenance, or several, one after the other, each handed back."""

    class Hook(models.TextChoices):
        STAY = "stay", "the host stays in maintenance"
        WAIT = "wait", "wait until an operator says that the work is done"
        CYCLE = "cycle", "switch the host off and wake it"

    class State(models.TextChoices):
        PROPOSED = "proposed", "waits for approval"
        RUNNING = "running", "running"
        PAUSED = "paused", "paused"
        DONE = "done", "done"
        STOPPED = "stopped", "stopped"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="maintenance_runs")
    about = models.CharField(max_length=140)  # the host, rack or site
    hook = models.CharField(max_length=11, choices=Hook, default=Hook.STAY)
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    sentence = models.TextField(blank=True)  # why it is paused or was stopped
    is_paused_by_itself = models.BooleanField(default=False)  # somebody is to be told
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=150)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["site"], condition=models.Q(finished_at=None), name="one_open_maintenance_per_site"
            )
        ]

    def __str__(self) -> str:
        return f"maintenance of {self.about}"


class MaintenanceMember(models.Model):
    """One host of a run."""

    class State(models.TextChoices):
        WAITING = "waiting", "waits for its turn"
        PLANNING = "planning", "the planner looks for places"
        DRAINING = "draining", "being emptied"
        STOPPING = "stopping", "what stays is being shut down"
        ENTERING = "entering", "maintenance begins"
        WORK = "work", "in maintenance: work on it"
        CYCLING = "cycling", "switched off and woken"
        LEAVING = "leaving", "maintenance ends"
        DONE = "done", "done"
        DROPPED = "dropped", "left as it was"

    run = models.ForeignKey(MaintenanceRun, on_delete=models.CASCADE, related_name="members")
    number = models.PositiveIntegerField()
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    host_name = models.CharField(max_length=63)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.SET_NULL, related_name="+")
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="+")
    shut_down = models.JSONField(default=list)  # ids of workloads that the operator lets be shut down
    was_cordoned = models.BooleanField(default=False)  # before it was closed for this
    begun_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="maintenance_member_number_unique")]

    def __str__(self) -> str:
        return f"{self.host_name} in {self.run}"
