"""How a host enters the inventory, and leaves it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from django.db import transaction
from django.db.models import ProtectedError

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation, Plane, Rack
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.bmc import bmc_set
from hosts.services.doors import User, busy_with, name_check, refuse_if, refuse_unless
from hosts.services.planes import plane_token_issue
from hosts.states import why_not


@dataclass(frozen=True)
class Enrolment:
    """A host on its way in. `token` is for its plane and is shown this once; empty when its plane keeps its own."""

    host: Host
    token: str
    operation: Operation


def host_enrol(
    user: User,
    *,
    name: str,
    rack: Rack,
    management_address: str,
    bridge: str = "stw0",
    bmc_url: str = "",
    bmc_system: str = "",
    bmc_username: str = "",
    bmc_password: str = "",
    idle_watts: float = 120,
    peak_watts: float = 300,
    wait_s: float = 120,
) -> Enrolment:
    """Begins to enrol a host: its plane has `wait_s` to come up with the token that is given here.

    Raises Invalid for a name or address that is taken. What only the host can tell (enrolled twice, wrong BMC
    password, nobody there) ends the operation with its sentence; the host can then be tried again or removed.
    """
    refuse_unless(user, "administer")
    name, bridge = name_check(name), _bridge_check(bridge)
    watts_check(idle_watts, peak_watts)
    if Host.objects.filter(name=name).exists():
        raise Invalid(f"There is already a host {name}. Choose another name, or remove that one.", field="name")
    with transaction.atomic():
        host = Host.objects.create(
            name=name,
            rack=rack,
            management_address=_address_check(management_address),
            bridge=bridge,
            idle_watts=idle_watts,
            peak_watts=peak_watts,
        )
        bmc_set(host, url=bmc_url, system=bmc_system, username=bmc_username, password=bmc_password)
        token = plane_token_issue(user, of=host)
        operation = _enrol(user, host, wait_s)
    return Enrolment(host, token, operation)


def host_retry_enrolment(
    user: User,
    host: Host,
    *,
    management_address: str | None = None,
    bridge: str | None = None,
    bmc_url: str | None = None,
    bmc_system: str = "",
    bmc_username: str = "",
    bmc_password: str = "",
    wait_s: float = 120,
    new_token: bool = True,
) -> Enrolment:
    """Tries a failed enrolment again, with what is given in place of what was.

    Without `new_token` its plane goes on with the one that it has. Raises Invalid as `host_enrol`.
    """
    refuse_unless(user, "administer", host)
    refuse_if(why_not(host, "retry_enrolment", busy=busy_with("host", host.pk)))
    with transaction.atomic():
        if management_address:
            host.management_address = _address_check(management_address, besides=host)
        host.bridge = _bridge_check(bridge) if bridge else host.bridge
        host.lifecycle, host.lifecycle_reason = Host.Lifecycle.ENROLLING, ""
        host.save(update_fields=["management_address", "bridge", "lifecycle", "lifecycle_reason"])
        if bmc_url is not None:
            bmc_set(host, url=bmc_url, system=bmc_system, username=bmc_username, password=bmc_password)
        token = plane_token_issue(user, of=host) if new_token else ""
        operation = _enrol(user, host, wait_s)
        audit_write(
            user,
            "host_retry_enrolment",
            "host",
            host.pk,
            host.name,
            operation_id=operation.pk,
            management_address=host.management_address,
            bridge=host.bridge,
            bmc_url=bmc_url,
            bmc_username=bmc_username,
        )
    return Enrolment(host, token, operation)


@transaction.atomic
def host_remove(user: User, host: Host) -> None:
    """Takes a host out of the inventory and ends its plane's token; nothing on the machine changes.

    Raises Refused while workloads are on it: they would be forgotten with it.
    """
    refuse_unless(user, "administer", host)
    refuse_if(why_not(host, "remove", busy=busy_with("host", host.pk)))
    name, host_id = host.name, host.pk
    try:
        host.delete()
    except ProtectedError as error:
        count = len(error.protected_objects)
        raise Refused(
            f"{name} still has {count} workload{'s' if count > 1 else ''}. Move or delete them first."
        ) from error
    Plane.objects.filter(kind=Plane.Kind.HOST, name=name).delete()
    audit_write(user, "host_remove", "host", host_id, name)
    publish_change("host", host_id, "removed")


def watts_check(idle_watts: float, peak_watts: float) -> None:
    """Raises Invalid unless 0 <= idle <= peak <= 100,000."""
    if not 0 <= idle_watts <= peak_watts <= 100_000:
        raise Invalid(
            "The watts at full load must be at least those when idle, and neither may be negative.",
            field="peak_watts",
        )


def _address_check(address: str, besides: Host | None = None) -> str:
    """The address as it is kept; raises Invalid for one that is none, or another host's."""
    try:
        address = str(ipaddress.ip_address(address.strip()))
    except ValueError as error:
        raise Invalid(
            "The management address is an IPv4 or IPv6 address, such as 10.0.0.7. Correct it.",
            field="management_address",
        ) from error
    others = Host.objects.filter(management_address=address)
    if other := (others.exclude(pk=besides.pk) if besides else others).first():
        raise Invalid(f"{address} is the address of {other.name}. Give this host its own.", field="management_address")
    return address


def _bridge_check(bridge: str) -> str:
    bridge = name_check(bridge, "bridge")
    if len(bridge) > 15:
        raise Invalid("A bridge's name has at most 15 characters.", field="bridge")
    return bridge


def _enrol(user: User, host: Host, wait_s: float) -> Operation:
    return operation_start(
        "enrol_host",
        user=user,
        subject=("host", str(host.pk), host.name),
        parameters={"host": str(host.pk), "wait_s": wait_s},
        host=host,
    )
