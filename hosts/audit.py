"""The audit log's only writer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from hosts.models import AuditRecord

SYSTEM = "system"


def audit_write(
    user: AbstractBaseUser | AnonymousUser | None,
    verb: str,
    thing_kind: str,
    thing_id: object,
    thing_name: str,
    *,
    operation_id: UUID | None = None,
    **detail: Any,
) -> AuditRecord:
    """Adds one record, in the caller's transaction. Never give it a secret as `detail`."""
    known = user if user is not None and user.is_authenticated else None
    return AuditRecord.objects.create(
        user=known,
        user_name=known.get_username() if known else SYSTEM,
        verb=verb,
        thing_kind=thing_kind,
        thing_id=str(thing_id),
        thing_name=thing_name,
        operation_id=operation_id,
        detail=detail,
    )
