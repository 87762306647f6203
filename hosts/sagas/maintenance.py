"""Maintenance on and off: the host takes no new work; what runs there stays until it is moved."""

from __future__ import annotations

from hosts.models import Host
from hosts.operations.registry import register
from hosts.operations.saga import Context, Output, Saga, Step
from hosts.publish import publish_change


def _set(context: Context, *, maintenance: bool, cordoned: bool) -> Output:
    host = Host.objects.get(pk=context.parameters["host"])
    before = {"maintenance": host.is_in_maintenance, "cordoned": host.is_cordoned}
    Host.objects.filter(pk=host.pk).update(is_in_maintenance=maintenance, is_cordoned=cordoned)
    publish_change("host", host.pk, "maintenance")
    return before


def _on(context: Context) -> Output:
    return _set(context, maintenance=True, cordoned=True)


def _off(context: Context) -> Output:
    return _set(context, maintenance=False, cordoned=False)


def _back(context: Context) -> None:
    before = context.output("set")
    _set(context, maintenance=before["maintenance"], cordoned=before["cordoned"])


MAINTENANCE_ON = register(Saga("host_maintenance_on", "begin maintenance", (Step("set", control=_on, undo=_back),)))
MAINTENANCE_OFF = register(Saga("host_maintenance_off", "end maintenance", (Step("set", control=_off, undo=_back),)))
