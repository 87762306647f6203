"""API tokens: what another program shows instead of a login."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


class ApiToken(models.Model):
    """A right that was given to a program. Only a hash of the secret is kept; it acts for its owner, and never more."""

    class Scope(models.TextChoices):
        METRICS = "metrics", "read metrics"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63)
    scope = models.CharField(max_length=7, choices=Scope, default=Scope.METRICS)
    secret_sha256 = models.CharField(max_length=64, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    @property
    def state(self) -> str:
        """The word for whether it opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "valid"

    def __str__(self) -> str:
        return self.name
