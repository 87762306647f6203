"""Where a workload could be moved: each host of its site, with the sentence why not."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Sum

from hosts.models import Host, Operation
from hosts.states import why_not
from workloads.models import Workload
from workloads.services.abilities import abilities_of_vm, why_not_able
from workloads.services.capacity import HOLDS_MEMORY, UNFINISHED


@dataclass(frozen=True)
class Target:
    """A line of the dialog that asks where to. `reason` is None for a host that can take it."""

    host: Host
    free_mib: int
    reason: str | None


def move_targets(workload: Workload) -> list[Target]:
    """Every other enrolled host of the workload's site, those that can take it first. Five queries.

    What is shown is the world of this moment; the service asks again, with everything else it has to ask.
    """
    if workload.host is None:
        return []
    site = workload.host.rack.site_id
    hosts = Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED).exclude(pk=workload.host_id)
    promised = _promised_mib(workload)
    group = workload.anti_affinity_group
    rivals = dict(_rivals(workload, group)) if group else {}
    needed = abilities_of_vm(workload)
    targets = []
    for host in hosts.select_related("rack", "bmc").order_by("name"):
        free_mib = max(0, host.memory_mib - promised.get(host.pk, 0))
        targets.append(
            Target(host, free_mib, why_not_able(host, needed) or _reason(workload, host, free_mib, rivals.get(host.pk)))
        )
    return sorted(targets, key=lambda target: (target.reason is not None, -target.free_mib))


def _reason(workload: Workload, host: Host, free_mib: int, rival: str | None) -> str | None:
    if reason := why_not(host, "place"):
        return reason
    if workload.memory_mib > free_mib:
        need = f"{workload.memory_mib} MiB of {workload.name}"
        return f"{host.name} has {free_mib} MiB of memory left, less than the {need}."
    if rival:
        return f"{rival} of the same group {workload.anti_affinity_group} is there; the two never share a host."
    return None


def _promised_mib(besides: Workload) -> dict[UUID, int]:
    """Memory promised on each host, to what is there and to what is on its way."""
    rows = Workload.objects.exclude(pk=besides.pk)
    here = rows.filter(HOLDS_MEMORY).values_list("host").annotate(mib=Sum("memory_mib"))
    promised = {host: mib or 0 for host, mib in here if host}
    moving = Operation.objects.filter(
        target_host__isnull=False, state__in=UNFINISHED, subject_kind__in=Workload.Kind.values
    )
    coming = {UUID(subject): target for subject, target in moving.values_list("subject_id", "target_host")}
    for pk, host, mib in rows.filter(pk__in=coming).values_list("pk", "host", "memory_mib"):
        if host != coming[pk]:
            promised[coming[pk]] = promised.get(coming[pk], 0) + mib
    return promised


def _rivals(workload: Workload, group: str) -> list[tuple[UUID, str]]:
    rows = Workload.objects.filter(anti_affinity_group=group, host__isnull=False).exclude(pk=workload.pk)
    return list(rows.exclude(state=Workload.State.GONE).values_list("host", "name"))
