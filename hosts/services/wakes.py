"""Wake drills, and the end of a quarantine."""

from __future__ import annotations

from hosts.errors import Invalid
from hosts.models import Host, Operation, Wake
from hosts.operations.start import operation_start
from hosts.services.doors import User, busy_with, refuse_if, refuse_unless
from hosts.states import why_not

WAIT_MOST_S = 3600.0


def host_wake_drill(user: User, host: Host, *, wait_s: float = 300.0, idempotency_key: str | None = None) -> Operation:
    """Switches an empty host off and wakes it again, to prove that it wakes and how fast; one at a time in a site.

    `wait_s` is how long each of its two parts, power and boot, may take. Raises Refused when the state forbids it.
    """
    refuse_unless(user, "operate", host)
    if not 1 <= wait_s <= WAIT_MOST_S:
        raise Invalid(f"Wait for 1 to {WAIT_MOST_S:.0f} seconds.", field="wait_s")
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    return drill_start(user, host, wait_s=wait_s, idempotency_key=idempotency_key)


def drill_start(
    user: User | None, host: Host, *, wait_s: float = 300.0, idempotency_key: str | None = None
) -> Operation:
    """The drill, for whoever has asked about rights: a schedule has no user."""
    host = Host.objects.select_related("bmc", "rack").get(pk=host.pk)
    refuse_if(why_not(host, "wake_drill", busy=busy_with("host", host.pk)))
    return operation_start(
        "host_wake_drill",
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), "wait_s": wait_s, "origin": Wake.Origin.DRILL},
        host=host,
        leases=[("drills_of_site", str(host.rack.site_id))],
        idempotency_key=idempotency_key,
    )


def host_quarantine_lift(user: User, host: Host, *, reason: str = "", idempotency_key: str | None = None) -> Operation:
    """Counts on a host again that had not woken. It needs a reason, unless the host has woken since."""
    refuse_unless(user, "operate", host)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    host = Host.objects.get(pk=host.pk)
    refuse_if(why_not(host, "lift_quarantine", busy=busy_with("host", host.pk)))
    reason = reason.strip()
    if not reason and not has_woken_since(host):
        raise Invalid(
            f"{host.name} has not woken since. Say why it may be counted on, or run a wake drill first.", field="reason"
        )
    if len(reason) > 300:
        raise Invalid("Say it in 300 characters at most.", field="reason")
    return operation_start(
        "host_quarantine_lift",
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), "reason": reason},
        host=host,
        idempotency_key=idempotency_key,
    )


def has_woken_since(host: Host) -> bool:
    """Whether its newest wake has passed; the one that began a quarantine did not."""
    newest = host.wakes.first()
    return newest is not None and newest.passed
