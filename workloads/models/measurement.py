"""What a VM and a container really cost on a host of this data center."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models import Host
from workloads.models.workload import Workload


class Measurement(models.Model):
    """One workload that was made to be measured, and removed again."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="measurements")
    kind = models.CharField(max_length=9, choices=Workload.Kind)
    image_name = models.CharField(max_length=300)
    sign = models.CharField(max_length=200, blank=True)  # how it was seen to serve
    start_s = models.FloatField()  # from the order to start until it served
    promised_mib = models.PositiveIntegerField()
    used_mib = models.FloatField()  # of the host's memory, once it served
    disk_mib = models.FloatField()  # of the host's disk; of a container with the image that others share
    taken_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["-taken_at"]

    @property
    def fit(self) -> int | None:
        """How many like it would use all memory of the host."""
        return int(self.host.memory_mib // self.used_mib) if self.used_mib > 0 else None

    def __str__(self) -> str:
        return f"{self.kind} on {self.host} at {self.taken_at}"
