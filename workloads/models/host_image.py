"""Container images on hosts, and the registries they come from."""

from __future__ import annotations

import uuid

from django.db import models

from hosts.models import Host


class Registry(models.Model):
    """Who hosts are to a registry; the password is kept encrypted and never shown again."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    address = models.CharField(max_length=253, unique=True)  # as references begin: registry.example:5000
    username = models.CharField(max_length=200)
    password_encrypted = models.BinaryField(editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["address"]
        verbose_name_plural = "registries"

    def __str__(self) -> str:
        return self.address


class HostImage(models.Model):
    """A container image that a host's engine keeps, as it was observed last."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="container_images")
    engine_id = models.CharField(max_length=100)
    names = models.JSONField(default=list)  # none: nothing but its id is left
    size_bytes = models.PositiveBigIntegerField(default=0)  # with the layers that it shares with others
    used_by = models.JSONField(default=list)  # names of the host's containers, running or not

    class Meta:
        ordering = ["host__name", "engine_id"]
        constraints = [models.UniqueConstraint(fields=["host", "engine_id"], name="image_once_per_host")]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """Its first name, or the beginning of its id."""
        return str(self.names[0]) if self.names else self.engine_id.removeprefix("sha256:")[:12]
