"""Waking a host for a workload that has no place on those that are on."""

from __future__ import annotations

from hosts import services as host_services
from hosts.models import Host, Operation
from hosts.services.doors import User
from workloads.sagas.waking import UNDER_WAY


def wake_begin(user: User, host: Host, operation: Operation) -> None:
    """Lets the operation wait for the host where that is off, and has it woken unless it is already.

    Called in the transaction that starts the operation, which is then begun with it or not at all.
    """
    if Host.objects.get(pk=host.pk).power != Host.Power.OFF:
        return
    operation.parameters["wakes"] = host.name
    operation.save(update_fields=["parameters"])
    if not Operation.objects.filter(kind="host_power_on", host=host, state__in=UNDER_WAY).exists():
        host_services.host_power_on(user, host)
