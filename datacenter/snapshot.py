"""The database as the planner sees it: a site at one moment, as plain values, with a fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from datacenter.metrics.demand import Demand
from datacenter.models import Policy
from datacenter.planner import model as planner
from hosts.models import Host, Lease, Site
from workloads.models import Container, VirtualMachine, Workload

HEARD_WITHIN = timedelta(seconds=30)
# What must be reserved. A stopped VM keeps its place: starting it must not fail for want of memory.
COUNTED = [state for state in Workload.State.values if state != Workload.State.GONE]
RUNS = {Workload.State.RUNNING, Workload.State.PAUSED}


def policy_of(site: Site) -> Policy:
    """The site's policy row; made with the defaults where there is none."""
    return Policy.objects.get_or_create(site=site)[0]


def planner_policy(row: Policy) -> planner.Policy:
    return planner.Policy(
        name=str(row),
        cpu_overcommit=row.cpu_overcommit,
        cpu_headroom=row.cpu_headroom_percent / 100,
        memory_headroom=row.memory_headroom_percent / 100,
        disk_headroom=row.disk_headroom_percent / 100,
        moves_in_per_host=row.moves_in_per_host,
        moves_out_per_host=row.moves_out_per_host,
    )


def data_center_read(site: Site, now: datetime, demand: Mapping[str, Demand] | None = None) -> planner.DataCenter:
    """Every enrolled host of the site and what is placed there. Six queries, however large the site."""
    hosts = list(
        Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED)
        .select_related("rack__site", "bmc")
        .prefetch_related("pool_mounts__pool")
    )
    pools = {mount.pool.pool_id for host in hosts for mount in host.pool_mounts.all()}
    counts = {pool: sum(pool in _pool_ids(host) for host in hosts) for pool in pools}
    shared = {pool for pool, count in counts.items() if count > 1}
    busy = {
        (row.thing_kind, row.thing_id): row.operation.kind.replace("_", " ")
        for row in Lease.objects.filter(operation__isnull=False).select_related("operation")
    }
    rows = Workload.objects.filter(host__in=hosts, state__in=COUNTED)
    vms = {vm.pk: vm for vm in VirtualMachine.objects.filter(host__in=hosts)}
    containers = {row.pk: row for row in Container.objects.filter(host__in=hosts)}
    return planner.DataCenter(
        hosts=tuple(planner_host(host, now, shared, busy) for host in hosts),
        workloads=tuple(
            _with_demand(planner_workload(row, vms.get(row.pk) or containers.get(row.pk), shared, busy), demand or {})
            for row in rows
        ),
    )


def _pool_ids(host: Host) -> set[str]:
    return {mount.pool.pool_id for mount in host.pool_mounts.all()}


def is_heard(host: Host, now: datetime) -> bool:
    """Whether its host plane spoke lately."""
    return host.last_seen_at is not None and now - host.last_seen_at <= HEARD_WITHIN


def planner_host(host: Host, now: datetime, shared: set[str], busy: Mapping[tuple[str, str], str]) -> planner.Host:
    is_on = host.power != Host.Power.OFF
    accepts_reason = _why_no_new_work(host, now, busy)
    has_bmc = hasattr(host, "bmc")
    return planner.Host(
        id=str(host.pk),
        name=host.name,
        site=host.rack.site.name,
        rack=host.rack.name,
        capacity=planner.Resources(host.cpu_cores, float(host.memory_mib), host.disk_gib),
        idle_watts=host.idle_watts,
        peak_watts=host.peak_watts,
        is_on=is_on,
        can_power_off=has_bmc,
        power_off_reason="" if has_bmc else f"{host.name} has no BMC on record, so nobody could wake it.",
        accepts_work=not accepts_reason,
        accepts_reason=accepts_reason,
        architecture=host.architecture or "x86_64",
        cpu_model="",
        has_hypervisor=bool(host.hypervisor),
        has_engine=bool(host.engine),
        bridges=tuple(sorted(str(link["name"]) for link in host.links if link.get("kind") == "bridge")),
        pools=tuple(sorted(_pool_ids(host) & shared)),
    )


def _why_no_new_work(host: Host, now: datetime, busy: Mapping[tuple[str, str], str]) -> str:
    if host.power == Host.Power.OFF:
        return f"{host.name} is switched off."
    if host.is_in_maintenance:
        return f"{host.name} is in maintenance."
    if host.is_cordoned:
        return f"{host.name} is cordoned: it takes no new workloads."
    if not is_heard(host, now):
        return f"{host.name} does not answer."
    if doing := busy.get(("host", str(host.pk))):
        return f"{host.name} is busy: {doing}."
    return ""


def planner_workload(
    row: Workload,
    own: VirtualMachine | Container | None,
    shared: set[str],
    busy: Mapping[tuple[str, str], str],
) -> planner.Workload:
    disks = own.disks if isinstance(own, VirtualMachine) else []
    on_shared = {disk.get("shared_pool_id") for disk in disks} & shared
    local_gib = sum(float(disk.get("size_gib") or 0) for disk in disks if disk.get("shared_pool_id") not in shared)
    why = _why_not_movable(row, busy)
    kind: planner.Kind = "vm" if row.kind == Workload.Kind.VM else "container"
    return planner.Workload(
        id=str(row.pk),
        kind=kind,
        name=row.name,
        host=str(row.host_id),
        allocation=planner.Resources(row.cpu_cores, float(row.memory_mib), local_gib if kind == "vm" else row.disk_gib),
        pinned=row.is_pinned,
        pinned_reason=row.pin_reason,
        movable=not why,
        immovable_reason=why,
        anti_affinity=(row.anti_affinity_group,) if row.anti_affinity_group else (),
        bridges=tuple(str(bridge) for bridge in own.bridges) if isinstance(own, VirtualMachine) else (),
        pools=tuple(sorted(pool for pool in on_shared if pool)),
        copy_gib=local_gib,
    )


def _why_not_movable(row: Workload, busy: Mapping[tuple[str, str], str]) -> str:
    if doing := busy.get((row.kind, str(row.pk))):
        return f"{row.name} is busy: {doing}."
    if row.state == Workload.State.UNKNOWN:
        return f"Where {row.name} stands is not known: {row.state_reason or 'its host does not answer.'}"
    if row.state not in RUNS:
        return f"{row.name} is {row.get_state_display()}: only a running workload is moved live."
    if row.state == Workload.State.PAUSED:
        return f"{row.name} is paused: resume it, then it can be moved."
    return ""


def _with_demand(workload: planner.Workload, demand: Mapping[str, Demand]) -> planner.Workload:
    seen = demand.get(workload.id)
    if seen is None or (seen.cpu_cores is None and seen.memory_mib is None):
        return workload
    return replace(workload, observed_p95=planner.Resources(seen.cpu_cores, seen.memory_mib))


def fingerprint(data_center: planner.DataCenter) -> str:
    """A hash over what a plan rests on: hosts, placements, allocations and rules; not over measured demand."""
    says: list[Any] = [
        [host.id, host.is_on, host.accepts_work, host.capacity.cpu_cores, host.capacity.memory_mib]
        for host in sorted(data_center.hosts, key=lambda host: host.id)
    ] + [
        [row.id, row.host, row.allocation.cpu_cores, row.allocation.memory_mib, row.pinned, row.anti_affinity]
        for row in sorted(data_center.workloads, key=lambda row: row.id)
    ]
    return hashlib.sha256(json.dumps(says).encode()).hexdigest()
