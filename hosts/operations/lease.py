"""Leases: one operation at a time on one thing, and a generation that only grows.

A lease belongs to an operation, not to a process: whichever worker advances the operation acts under it, so it
needs no expiry and no renewal. It ends with the operation.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F
from django.db.models.functions import Now

from hosts.errors import Refused
from hosts.models import Lease, Operation
from hosts.operations.registry import title_of

Thing = tuple[str, str]  # kind and id


def lease_take(operation: Operation, things: Iterable[Thing]) -> None:
    """Takes every thing for the operation, inside the caller's transaction; raises Refused naming who has it."""
    for kind, thing_id in things:
        Lease.objects.get_or_create(thing_kind=kind, thing_id=thing_id)
        taken = Lease.objects.filter(thing_kind=kind, thing_id=thing_id, operation=None).update(
            operation=operation, generation=F("generation") + 1, taken_at=Now()
        )
        if not taken:
            raise Refused(_busy(kind, thing_id))


def lease_raise(operation: Operation) -> None:
    """Raises the generation of all that the operation holds: commands sent before are refused from now on."""
    Lease.objects.filter(operation=operation).update(generation=F("generation") + 1)


def lease_release(operation: Operation) -> None:
    Lease.objects.filter(operation=operation).update(operation=None)


def generations_of(operation: Operation) -> dict[Thing, int]:
    """The generation of each thing that the operation holds."""
    rows = Lease.objects.filter(operation=operation).values_list("thing_kind", "thing_id", "generation")
    return {(kind, thing_id): generation for kind, thing_id, generation in rows}


def lease_holder(kind: str, thing_id: object) -> Operation | None:
    """The operation that has the thing now, None when it is free."""
    lease = (
        Lease.objects.filter(thing_kind=kind, thing_id=str(thing_id), operation__isnull=False)
        .select_related("operation")
        .first()
    )
    return lease.operation if lease else None


def busy_sentence(operation: Operation) -> str:
    """Why nothing else may be done to what the operation holds."""
    name, kind = operation.subject_name, title_of(operation.kind)
    if operation.state == Operation.State.STUCK:
        return f"{name} waits for a decision: its operation “{kind}” needs attention. Retry or close it first."
    return f"{name} is busy: “{kind}” by {operation.requested_by_name} is under way. Wait for its end, or cancel it."


def _busy(kind: str, thing_id: str) -> str:
    holder = lease_holder(kind, thing_id)
    return busy_sentence(holder) if holder else "It is busy with another operation. Try again."
