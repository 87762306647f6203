"""Storage pools and where hosts mount them."""

from __future__ import annotations

import uuid

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


class PoolFile(models.Model):
    """A file in a pool, as the host that looked last told of it. Hosts that share the pool tell of the same one."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=255)
    size_bytes = models.PositiveBigIntegerField(default=0)
    used_bytes = models.PositiveBigIntegerField(default=0)
    changed_at = models.DateTimeField()

    class Meta:
        ordering = ["pool", "name"]
        constraints = [models.UniqueConstraint(fields=["pool", "name"], name="file_once_per_pool")]

    def __str__(self) -> str:
        return self.name
