"""Workloads that are kept apart: two of one anti-affinity group never share a host."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host
from hosts.publish import publish_change
from hosts.services.doors import User, busy_with, name_check, refuse_if, refuse_unless
from workloads.models import Workload
from workloads.services.capacity import coming_to
from workloads.states import why_not


@transaction.atomic
def workload_keep_apart(user: User, workload: Workload, *, group: str) -> Workload:
    """Puts a workload into a group whose members never share a host; an empty group keeps it apart from nothing.

    Raises Invalid at "group" for a bad name, and while a member is on the same host: nothing is moved by this.
    """
    refuse_unless(user, "operate", workload)
    group = name_check(group, "group") if group.strip() else ""
    workload = Workload.objects.select_related("host").get(pk=workload.pk)
    refuse_if(why_not(workload, "keep_apart", busy=busy_with(workload.kind, workload.pk)))
    if workload.host and (mate := mate_on(workload.host, group, besides=workload.pk)):
        raise Invalid(
            f"{mate.name} of the group {group} is on {workload.host.name} too. Move one of the two first.",
            field="group",
        )
    was, workload.anti_affinity_group = workload.anti_affinity_group, group
    workload.save(update_fields=["anti_affinity_group"])
    audit_write(user, "workload_keep_apart", workload.kind, workload.pk, workload.name, group=group, was=was)
    publish_change("workload", workload.pk, "kept apart")
    return workload


def mate_on(host: Host, group: str, *, besides: UUID | None = None) -> Workload | None:
    """A workload of the group that is on the host or on its way there, without one workload; two queries."""
    if not group:
        return None
    mates = Workload.objects.filter(anti_affinity_group=group).exclude(state=Workload.State.GONE)
    if besides is not None:
        mates = mates.exclude(pk=besides)
    return mates.filter(host=host).first() or mates.filter(pk__in=coming_to(host)).first()


def refuse_mate(host: Host, group: str, *, besides: UUID | None = None) -> None:
    """Raises Refused naming the workload of the group that the host has. Call it where the place is reserved."""
    if mate := mate_on(host, group, besides=besides):
        raise Refused(
            f"{mate.name} of the same group {group} is on {host.name}; the two never share a host."
            " Choose another host, or another group.",
            field="host",
        )
