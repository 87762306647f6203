"""The database as the planner sees it: a site at one moment, as plain values, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from datacenter.metrics.demand import Demand
from datacenter.models import Policy, Tariff
from datacenter.planner import model as planner
from datacenter.wake_proof import WakeProofs, wake_proofs
from hosts import states as host_states
from hosts.models import Host, HostJob, Lease, Operation, Site
from hosts.operations.lease import busy_sentence
from workloads import states as workload_states
from workloads.models import Container, VirtualMachine, Workload
from workloads.services.abilities import abilities_of_host, abilities_of_vm

# What must be reserved. A stopped VM keeps its place: starting it must not fail for want of memory.
COUNTED = [state for state in Workload.State.values if state != Workload.State.GONE]
UNFINISHED = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


def policy_of(site: Site) -> Policy:
    """The site's policy; one with the defaults, not stored, where there is none."""
    return Policy.objects.filter(site=site).first() or Policy(site=site)


def planner_policy(row: Policy) -> planner.Policy:
    """The policy in the planner's terms; what energy costs is read only where money is what counts."""
    return planner.Policy(
        name=str(row),
        cpu_overcommit=row.cpu_overcommit,
        cpu_headroom=row.cpu_headroom_percent / 100,
        memory_headroom=row.memory_headroom_percent / 100,
        disk_headroom=row.disk_headroom_percent / 100,
        moves_in_per_host=row.moves_in_per_host,
        moves_out_per_host=row.moves_out_per_host,
        objective=Policy.Objective(row.objective).value,
        price_per_kwh=_price_per_kwh(row.site) if row.objective == Policy.Objective.MONEY else 0.0,
        spare_hosts=row.spare_hosts,
        survive_failures=row.survive_failures,
        survive_rack=row.survive_rack,
        max_moves=row.max_moves,
        max_moved_gib=row.max_moved_gib,
        max_minutes=row.max_minutes,
        break_even_hours=row.break_even_hours,
        use_profiles=row.demand_by == Policy.DemandBy.PROFILES,
        overload_risk=row.overload_risk_percent / 100,
    )


def _price_per_kwh(site: Site) -> float:
    """What a server's kilowatt-hour costs, with what the building draws for it."""
    tariff = Tariff.objects.filter(site=site).first() or Tariff(site=site)
    return float(tariff.price_per_kwh) * tariff.pue


@dataclass(frozen=True)
class Facts:
    """What rows of one site are judged with."""

    now: datetime
    shared_pools: frozenset[str]
    busy: Mapping[tuple[str, str], str]  # (kind, id) -> the sentence of the operation that holds it
    demand: Mapping[str, Demand]
    proofs: WakeProofs


def data_center_read(
    site: Site, now: datetime, demand: Mapping[str, Demand] | None = None, *, is_automatic: bool = False
) -> planner.DataCenter:
    """Every enrolled host of the site and what is placed there. Ten queries, however large the site.

    A workload on its way to another host counts on both: there as a second one that cannot be moved. For a plan that
    `is_automatic` the policy may want more of a host before it goes dark.
    """
    hosts = list(
        Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED)
        .select_related("rack__site", "bmc", "job")
        .prefetch_related("pool_mounts__pool")
        .order_by("name")
    )
    readers = Counter(pool for host in hosts for pool in _pool_ids(host))
    leases = Lease.objects.filter(operation__isnull=False).select_related("operation")
    facts = Facts(
        now=now,
        shared_pools=frozenset(pool for pool, count in readers.items() if count > 1),
        busy={(row.thing_kind, row.thing_id): busy_sentence(row.operation) for row in leases if row.operation},
        demand=demand or {},
        proofs=wake_proofs(policy_of(site), now, is_automatic=is_automatic),
    )
    rows = Workload.objects.filter(host__in=hosts, state__in=COUNTED).select_related("host").order_by("name", "pk")
    own: dict[Any, VirtualMachine | Container] = {}
    own |= {row.pk: row for row in VirtualMachine.objects.filter(host__in=hosts)}
    own |= {row.pk: row for row in Container.objects.filter(host__in=hosts)}
    workloads = [planner_workload(row, own[row.pk], facts) for row in rows if row.pk in own]
    return planner.DataCenter(
        hosts=tuple(planner_host(host, facts) for host in hosts),
        workloads=(*workloads, *_arriving(workloads, {str(host.pk): host.name for host in hosts})),
    )


def _arriving(workloads: Iterable[planner.Workload], hosts: Mapping[str, str]) -> Iterator[planner.Workload]:
    """What operations are bringing to a host holds its place there already."""
    by_id = {row.id: row for row in workloads}
    coming = Operation.objects.filter(target_host__in=list(hosts), state__in=UNFINISHED, subject_id__in=list(by_id))
    for subject_id, target_id in coming.order_by("created_at").values_list("subject_id", "target_host_id"):
        row, target = by_id[subject_id], str(target_id)
        if row.host != target:
            yield replace(
                row,
                id=arriving_id(row.id, target),
                host=target,
                pinned=False,
                movable=False,
                immovable_reason=f"{row.label} is on its way to {hosts[target]}.",
            )


def arriving_id(workload_id: str, host_id: str) -> str:
    """Names the second place of a workload that is on its way."""
    return f"{workload_id} to {host_id}"


def _pool_ids(host: Host) -> set[str]:
    return {mount.pool.pool_id for mount in host.pool_mounts.all()}


def planner_host(host: Host, facts: Facts) -> planner.Host:
    is_asleep = host.power == Host.Power.OFF  # its work is refused for that; what else is in the way decides on waking
    job = host_states.job_sentence(host)
    closed = host_states.why_closed_once_on(host) if is_asleep else host_states.why_not(host, "place", now=facts.now)
    closed = closed or facts.busy.get(("host", str(host.pk))) or job
    # A spare may be dark; what is lent to somebody is theirs to switch.
    not_ours = job if job and host.job.kind != HostJob.Kind.SPARE else ""
    # of one that is off already only the way back matters
    stays_on = not_ours or (facts.proofs.why_no_power(host) if is_asleep else facts.proofs.why_stays_on(host))
    return planner.Host(
        id=str(host.pk),
        name=host.name,
        site=host.rack.site.name,
        rack=host.rack.name,
        capacity=planner.Resources(host.cpu_cores, float(host.memory_mib), host.disk_gib or None),
        idle_watts=host.idle_watts,
        peak_watts=max(host.idle_watts, host.peak_watts),
        is_on=not is_asleep,
        can_power_off=not stays_on,
        power_off_reason=stays_on,
        wake_s=facts.proofs.wake_s(host),
        accepts_work=not closed,
        accepts_reason=closed.rstrip("."),
        architecture=host.architecture or "x86_64",
        has_hypervisor=bool(host.hypervisor),
        has_engine=bool(host.engine),
        bridges=tuple(sorted(str(link.get("name")) for link in host.links if link.get("kind") == "bridge")),
        pools=tuple(sorted(_pool_ids(host) & facts.shared_pools)),
        abilities=abilities_of_host(host),
    )


def planner_workload(row: Workload, own: VirtualMachine | Container, facts: Facts) -> planner.Workload:
    disks = own.disks if isinstance(own, VirtualMachine) else []
    shared = {str(disk["shared_pool_id"]) for disk in disks if disk.get("shared_pool_id") in facts.shared_pools}
    local_gib = sum(float(disk.get("size_gib") or 0) for disk in disks if disk.get("shared_pool_id") not in shared)
    disk_gib = local_gib if isinstance(own, VirtualMachine) else row.disk_gib
    seen = facts.demand.get(str(row.pk), Demand())
    fixed = _why_fixed(row, facts)
    return planner.Workload(
        id=str(row.pk),
        kind="vm" if isinstance(own, VirtualMachine) else "container",
        name=row.name,
        host=str(row.host_id),
        allocation=planner.Resources(row.cpu_cores, float(row.memory_mib), disk_gib),
        observed_p95=planner.Resources(seen.cpu_cores, seen.memory_mib) if _is_observed(seen) else None,
        profile=seen.profile,
        pinned=row.is_pinned,
        pinned_reason=row.pin_reason,
        movable=not fixed,
        immovable_reason=fixed,
        anti_affinity=(row.anti_affinity_group,) if row.anti_affinity_group else (),
        bridges=tuple(str(bridge) for bridge in own.bridges) if isinstance(own, VirtualMachine) else (),
        pools=tuple(sorted(shared)),
        abilities=abilities_of_vm(own) if isinstance(own, VirtualMachine) else (),
        copy_gib=local_gib,
    )


def _is_observed(seen: Demand) -> bool:
    return seen.cpu_cores is not None or seen.memory_mib is not None


def _why_fixed(row: Workload, facts: Facts) -> str:
    """Why it can't be moved now, apart from being pinned, which the planner says itself; empty when it can."""
    if row.is_pinned:
        return ""
    return workload_states.why_not(row, "move", busy=facts.busy.get((row.kind, str(row.pk))), now=facts.now) or ""


def demand_of(data_center: planner.DataCenter) -> dict[str, Demand]:
    """The measured demand that a data center was read with, to read it anew with the same."""
    return {
        row.id: Demand(
            row.observed_p95.cpu_cores if row.observed_p95 else None,
            row.observed_p95.memory_mib if row.observed_p95 else None,
            row.profile,
        )
        for row in data_center.workloads
        if row.observed_p95 is not None or row.profile is not None
    }


def fingerprint(data_center: planner.DataCenter) -> str:
    """A hash over what a plan rests on: hosts, placements, allocations and rules.

    Measured demand is not part of it, nor what passes by itself (a host that is busy, a move on its way).
    """
    says: list[Any] = [
        [host.id, host.is_on, host.capacity.cpu_cores, host.capacity.memory_mib]
        for host in sorted(data_center.hosts, key=lambda host: host.id)
    ]
    says += [[row.id, *material_facts(row)] for row in sorted(_placed(data_center), key=lambda row: row.id)]
    return hashlib.sha256(json.dumps(says).encode()).hexdigest()


def material_facts(row: planner.Workload) -> tuple[Any, ...]:
    """What of a workload a plan rests on."""
    return (row.host, row.allocation.cpu_cores, row.allocation.memory_mib, row.pinned, *row.anti_affinity)


def _placed(data_center: planner.DataCenter) -> list[planner.Workload]:
    """Those that are really there: no UUID has a blank in it, only `arriving_id` has."""
    return [row for row in data_center.workloads if " " not in row.id]


def changes_between(before: planner.DataCenter, now: planner.DataCenter) -> list[str]:
    """A sentence for each difference that a fingerprint sees."""
    names = {host.id: host.label for host in (*before.hosts, *now.hosts)}
    return [*_host_changes(before, now), *_workload_changes(before, now, names)]


def _host_changes(before: planner.DataCenter, now: planner.DataCenter) -> Iterator[str]:
    old, new = {host.id: host for host in before.hosts}, {host.id: host for host in now.hosts}
    yield from (f"{old[one].label} was removed." for one in old.keys() - new.keys())
    yield from (f"{new[one].label} is new." for one in new.keys() - old.keys())
    for one in old.keys() & new.keys():
        if old[one].is_on != new[one].is_on:
            yield f"{new[one].label} was switched {'on' if new[one].is_on else 'off'}."
        elif _size(old[one]) != _size(new[one]):
            yield f"{new[one].label} has another capacity."


def _size(host: planner.Host) -> tuple[float | None, float | None]:
    return host.capacity.cpu_cores, host.capacity.memory_mib


def _workload_changes(before: planner.DataCenter, now: planner.DataCenter, names: Mapping[str, str]) -> Iterator[str]:
    old, new = {row.id: row for row in _placed(before)}, {row.id: row for row in _placed(now)}
    yield from (f"{old[one].label} is gone." for one in old.keys() - new.keys())
    yield from (f"{new[one].label} is new on {names.get(new[one].host)}." for one in new.keys() - old.keys())
    for one in old.keys() & new.keys():
        if old[one].host != new[one].host:
            yield f"{new[one].label} is on {names.get(new[one].host)} now, no longer on {names.get(old[one].host)}."
        elif material_facts(old[one]) != material_facts(new[one]):
            yield f"{new[one].label} has another size or other rules."
