"""What a VM was at a time, as its host keeps it inside the VM's disks."""

from __future__ import annotations

from django.db import models


class Snapshot(models.Model):
    """One snapshot. The rows are what the host listed after the last verb that changed them."""

    vm = models.ForeignKey("workloads.VirtualMachine", on_delete=models.CASCADE, related_name="snapshots")
    name = models.CharField(max_length=255)
    parent_name = models.CharField(max_length=255, blank=True)  # empty: taken first
    taken_at = models.DateTimeField()
    has_memory = models.BooleanField(default=False)  # it was on then, and will be again
    is_current = models.BooleanField(default=False)  # what the VM is now grew from it

    class Meta:
        ordering = ["taken_at", "name"]
        constraints = [models.UniqueConstraint(fields=["vm", "name"], name="one_snapshot_per_name")]

    def __str__(self) -> str:
        return f"{self.name} of {self.vm}"
