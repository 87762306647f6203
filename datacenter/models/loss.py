"""What would become of the workloads if a host were lost right now."""

from __future__ import annotations

from django.db import models

from hosts.models import Site


class LossOutlook(models.Model):
    """One row a site, renewed each minute. `hosts` are {"host", "name", "restarts": {workload: host}, "waits":
    [{"workload", "name", "why"}], "caution"}, by name; sentences in words.
    """

    site = models.OneToOneField(Site, on_delete=models.CASCADE, related_name="loss_outlook")
    looked_at = models.DateTimeField()
    took_s = models.FloatField()
    survivable = models.PositiveSmallIntegerField()  # any so many hosts may be lost, and all has room elsewhere
    sentence = models.TextField()  # why not one more
    hosts = models.JSONField(default=list)

    class Meta:
        ordering = ["site__name"]

    def __str__(self) -> str:
        return f"losses at {self.site}"

    @property
    def safe(self) -> list[str]:
        """Names of the hosts of which each may be lost now, and all that runs there is started elsewhere."""
        return [row["name"] for row in self.hosts if not row["waits"]]

    @property
    def unsafe(self) -> list[str]:
        """Names of the others."""
        return [row["name"] for row in self.hosts if row["waits"]]
