"""What workloads use through the week, as the planner and people read it."""

from __future__ import annotations

from django.db import models

from workloads.models import Workload


class DemandProfile(models.Model):
    """One workload's use of one resource in each of the 168 hours of the week. decisions/0017.

    `hours` is the packed week of `datacenter.metrics.week`: one row instead of 168, of 3.4 kB instead of 16.
    """

    class Resource(models.TextChoices):
        CPU = "cpu", "CPU"
        MEMORY = "memory", "memory"
        DISK = "disk", "disk"
        NETWORK = "network", "network"

    workload = models.ForeignKey(Workload, on_delete=models.CASCADE, related_name="demand_profiles")
    resource = models.CharField(max_length=7, choices=Resource)
    hours = models.BinaryField()
    refreshed_until = models.DateTimeField(db_index=True)  # what was sampled before is in it

    class Meta:
        ordering = ["workload", "resource"]
        constraints = [models.UniqueConstraint(fields=["workload", "resource"], name="one_profile_per_resource")]

    def __str__(self) -> str:
        return f"{self.resource} of {self.workload}"
