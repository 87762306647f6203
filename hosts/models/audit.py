"""The audit log."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class AuditRecord(models.Model):
    """One change: who, what, when, on what, by which operation. Rows are only ever added."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=150)  # stays when the user is removed; "system" for our own acts
    verb = models.CharField(max_length=60)
    thing_kind = models.CharField(max_length=30)
    thing_id = models.CharField(max_length=64)
    thing_name = models.CharField(max_length=200)
    operation_id = models.UUIDField(null=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.user_name} {self.verb} {self.thing_name}"
