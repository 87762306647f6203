"""Consoles: the ticket that opens one and is then the record of it; and logs of serial lines."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class Console(models.Model):
    """A ticket for one console, and after its use the console itself. Only a hash of the secret is kept."""

    class Kind(models.TextChoices):
        VNC = "vnc", "screen"
        SERIAL = "serial", "serial line"
        EXEC = "exec", "command in a container"
        ATTACH = "attach", "container's own terminal"
        LOG = "log", "container's log"
        TOP = "top", "container's processes"
        DIFF = "diff", "container's file changes"
        SHELL = "shell", "shell on a host"

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    secret_sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_sha256 = models.CharField(max_length=64)  # of the login's key, which is a secret too
    kind = models.CharField(max_length=6, choices=Kind)
    thing_id = models.UUIDField(db_index=True)  # of the workload; of the host for a shell
    thing_name = models.CharField(max_length=63)
    generation = models.PositiveBigIntegerField(default=0)
    is_view_only = models.BooleanField(default=False)
    command = models.JSONField(default=list, blank=True)
    issued_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)  # its web process says that it is open
    ended_at = models.DateTimeField(null=True, blank=True)
    end_sentence = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-issued_at"]
        indexes = [
            models.Index(fields=["user", "issued_at"]),
            models.Index(fields=["seen_at"], condition=models.Q(ended_at=None), name="console_open"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.thing_name}"


class ConsoleLog(models.Model):
    """What a serial line said while somebody had it written down; its bytes are `CONSOLE_LOG_DIR/<uuid>`."""

    uuid = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    thing_id = models.UUIDField(db_index=True)
    thing_name = models.CharField(max_length=63)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    user_name = models.CharField(max_length=150)
    began_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    size_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-began_at"]

    def __str__(self) -> str:
        return f"{self.thing_name}, {self.began_at:%Y-%m-%d %H:%M}"
