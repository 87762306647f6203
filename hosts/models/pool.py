"""Storage pools and where hosts mount them."""

from __future__ import annotations

from django.db import models

from hosts.models.host import Host


class Pool(models.Model):
    """A directory for volumes; hosts that read the same identity in it share it."""

    pool_id = models.CharField(max_length=64, unique=True)
    name = models.CharField(max_length=63)

    def __str__(self) -> str:
        return self.name


class PoolMount(models.Model):
    """A pool as one host sees it."""

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="pool_mounts")
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="mounts")
    path = models.CharField(max_length=300)
    capacity_gib = models.FloatField(default=0)
    free_gib = models.FloatField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "pool"], name="pool_mounted_once_per_host")]

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"
