"""Logs of serial lines that people asked for: begun, read, removed. Their bytes lie under names that we make."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from hosts.audit import audit_write
from hosts.errors import NotFound
from hosts.services import refuse_unless
from hosts.services.doors import User
from workloads.models import Console, ConsoleLog
from workloads.services.consoles import Opening

LOG_BYTES_MOST = 16 * 1024 * 1024


def log_path(log_pk: UUID) -> Path:
    return Path(settings.DATA_DIR) / "console-logs" / str(log_pk)


@transaction.atomic
def log_begin(opening: Opening) -> ConsoleLog:
    """A fresh, empty log of an open console."""
    user = Console.objects.select_related("user").get(pk=opening.pk).user
    row = ConsoleLog.objects.create(
        thing_id=opening.thing_id, thing_name=opening.thing_name, user=user, user_name=opening.user_name
    )
    path = log_path(row.pk)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    audit_write(user, "console_log", "vm", opening.thing_id, opening.thing_name, log=str(row.pk))
    return row


def log_append(log_pk: UUID, data: bytes) -> None:
    """Blocks on the disk. A log that was removed meanwhile stays removed."""
    try:
        descriptor = os.open(log_path(log_pk), os.O_WRONLY | os.O_APPEND)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "ab") as file:
        file.write(data)


def log_ended(log_pk: UUID) -> None:
    path = log_path(log_pk)
    size = path.stat().st_size if path.exists() else 0
    ConsoleLog.objects.filter(pk=log_pk).update(ended_at=timezone.now(), size_bytes=size)


def log_found(user: User, log_pk: UUID) -> tuple[ConsoleLog, Path]:
    """The log and the file with its bytes. For operators: what was typed into a line is in it."""
    refuse_unless(user, "operate")
    row = ConsoleLog.objects.filter(pk=log_pk).first()
    path = log_path(log_pk)
    if row is None or not path.is_file():
        raise NotFound("There is no such log. It may have been removed.")
    return row, path


def log_remove(user: User, log_pk: UUID) -> None:
    refuse_unless(user, "operate")
    row = ConsoleLog.objects.filter(pk=log_pk).first()
    if row is None:
        raise NotFound("There is no such log. It may have been removed.")
    with transaction.atomic():
        row.delete()
        audit_write(user, "console_log_remove", "vm", row.thing_id, row.thing_name, log=str(log_pk))
    log_path(log_pk).unlink(missing_ok=True)
