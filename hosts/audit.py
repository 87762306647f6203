"""The audit log's only writer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from hosts.models import AuditRecord

SYSTEM = "system"
SECRETIVE = ("environment",)


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
        detail=without_secrets(detail),
    )


def without_secrets(value: Any) -> Any:
    """The value with the names of a container's variables in place of what they hold: passwords, as a rule."""
    if isinstance(value, dict):
        return {
            key: sorted(held) if key in SECRETIVE and isinstance(held, dict) else without_secrets(held)
            for key, held in value.items()
        }
    return [without_secrets(item) for item in value] if isinstance(value, list) else value
