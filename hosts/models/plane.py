"""The planes that may speak to the control plane."""

from __future__ import annotations

from django.db import models

from hosts.models.place import name_validator


class Plane(models.Model):
    """A host plane or site plane that may speak to us; only a hash of its token is kept."""

    class Kind(models.TextChoices):
        HOST = "host", "host plane"
        SITE = "site", "site plane"

    kind = models.CharField(max_length=4, choices=Kind)
    name = models.CharField(max_length=63, validators=[name_validator])
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="one_plane_per_name")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"
