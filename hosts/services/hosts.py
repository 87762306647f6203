"""Power, maintenance and the declared facts of hosts."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation, Wake
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.bmc import bmc_set
from hosts.services.doors import User, busy_with, refuse_if, refuse_unless
from hosts.services.enrolment import watts_check
from hosts.states import is_woken_by_lan, why_not


def host_power_off(user: User, host: Host, *, force: bool = False, idempotency_key: str | None = None) -> Operation:
    """Powers off a host that is proven empty; raises Refused when its state does not allow it."""
    if force and is_woken_by_lan(host):
        raise Refused(f"{host.name} has Wake-on-LAN only, which cannot cut its power. Let it shut down in order.")
    return _operate(user, host, "power_off", "host_power_off", idempotency_key, force=force)


def host_power_on(
    user: User, host: Host, *, idempotency_key: str | None = None, origin: Wake.Origin = Wake.Origin.HAND
) -> Operation:
    """Wakes a host through its BMC and takes it back into service once its plane answers.

    How long it took is kept as proof that it wakes; one that does not wake is put into quarantine.
    """
    return _operate(user, host, "power_on", "host_power_on", idempotency_key, origin=origin)


def host_maintain(user: User, host: Host, *, on: bool, idempotency_key: str | None = None) -> Operation:
    """Begins or ends maintenance: in maintenance a host takes no new workloads."""
    verb = "maintenance_on" if on else "maintenance_off"
    return _operate(user, host, verb, f"host_{verb}", idempotency_key)


@transaction.atomic
def host_edit(
    user: User,
    host: Host,
    *,
    idle_watts: float | None = None,
    peak_watts: float | None = None,
    rack_units: int | None = None,
    bmc_url: str | None = None,
    bmc_system: str = "",
    bmc_username: str = "",
    bmc_password: str = "",
) -> Host:
    """Changes the power model, and the BMC where `bmc_url` is given (empty: there is none).

    That BMC is not tried: it is for a lab, which gives its own. People use `host_bmc_edit`.
    """
    refuse_unless(user, "administer", host)
    host.idle_watts = host.idle_watts if idle_watts is None else idle_watts
    host.peak_watts = host.peak_watts if peak_watts is None else peak_watts
    watts_check(host.idle_watts, host.peak_watts)
    host.rack_units = host.rack_units if rack_units is None else rack_units
    if not 1 <= host.rack_units <= 60:
        raise Invalid("A host takes 1 to 60 rack units.", field="rack_units")
    host.save(update_fields=["idle_watts", "peak_watts", "rack_units"])
    if bmc_url is not None:
        bmc_set(host, url=bmc_url, system=bmc_system, username=bmc_username, password=bmc_password)
    audit_write(
        user,
        "host_edit",
        "host",
        host.pk,
        host.name,
        idle_watts=host.idle_watts,
        peak_watts=host.peak_watts,
        rack_units=host.rack_units,
        bmc_changed=bmc_url is not None,
    )
    publish_change("host", host.pk, "edited")
    return host


def _operate(user: User, host: Host, verb: str, kind: str, idempotency_key: str | None, **parameters: Any) -> Operation:
    refuse_unless(user, "operate", host)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    host = Host.objects.select_related("bmc").get(pk=host.pk)
    refuse_if(why_not(host, verb, busy=busy_with("host", host.pk)))
    return operation_start(
        kind,
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), **parameters},
        host=host,
        idempotency_key=idempotency_key,
    )
