"""What an operation that wakes a host leaves behind: the time it took, or a quarantine."""

from __future__ import annotations

from django.utils import timezone

from hosts.models import Entry, Host, Wake
from hosts.operations.saga import Context
from hosts.publish import publish_change


def wake_passed(context: Context, host: Host) -> None:
    """Records the wake with its seconds from the first call for power to the plane's answer. Once an operation."""
    asked = _entry(context, Entry.Kind.STARTED, "power_on")
    answered = _entry(context, Entry.Kind.DONE, "ping")
    if asked is not None and answered is not None:
        seconds = (answered.created_at - asked.created_at).total_seconds()
        _record(context, host, began_at=asked.created_at, seconds=seconds, passed=True)


def wake_failed(context: Context, host: Host) -> None:
    """Records the failure and puts the host into quarantine. Of a host that was never asked to wake: nothing."""
    asked = _entry(context, Entry.Kind.STARTED, "power_on")
    if asked is None:
        return
    sentence = context.error.message if context.error else "Nobody knows why."
    _record(context, host, began_at=asked.created_at, passed=False, why_not=sentence)
    Host.objects.filter(pk=host.pk).update(quarantined_at=timezone.now(), quarantine_reason=sentence)
    publish_change("host", host.pk, "quarantined")


def _entry(context: Context, kind: Entry.Kind, step: str) -> Entry | None:
    """The first such line of the operation's journal."""
    return context.operation.entries.filter(kind=kind, step=step).order_by("number").first()


def _record(context: Context, host: Host, **values: object) -> None:
    origin = context.parameters.get("origin", Wake.Origin.HAND)
    Wake.objects.get_or_create(operation=context.operation, defaults={"host": host, "origin": origin, **values})
