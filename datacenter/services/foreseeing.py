"""What the coming hours need, by the weekly profiles: which host must be on by then, and which must stay on."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from datacenter import planner as engine
from datacenter.demanding import demand_coming
from datacenter.planner import model as planner

AHEAD_HOURS = 1  # a host is woken so long before it is needed, at most


def world_to_come(world: planner.DataCenter, now: datetime, hours: int) -> planner.DataCenter | None:
    """The same placement under the most CPU that is usual from this hour to `hours` later; None without profiles."""
    cores = demand_coming([row.id for row in world.workloads], now, hours)
    if not cores:
        return None
    rows = (
        replace(row, profile=None, observed_p95=planner.Resources(cores.get(row.id), None)) for row in world.workloads
    )
    return replace(world, workloads=tuple(rows))


def why_more_needed(world: planner.DataCenter, policy: planner.Policy, now: datetime, hours: int) -> str:
    """Which host will have too much to do within those hours though work moves away from it; empty when none will."""
    coming = world_to_come(world, now, hours)
    return next(iter(engine.relieve(coming, _plain(policy)).refusals), "") if coming else ""


def host_to_wake(world: planner.DataCenter, policy: planner.Policy, now: datetime, hours: int) -> str:
    """The host (id) whose waking helps by then; empty when none's does."""
    coming = world_to_come(world, now, hours)
    return engine.host_to_wake(coming, _plain(policy)) if coming else ""


def why_needed_soon(
    world: planner.DataCenter, policy: planner.Policy, answer: planner.Plan, now: datetime, pays_back_hours: float
) -> str:
    """Why the hosts that the plan frees would have to be woken before that has paid; empty when it may be made."""
    hours = AHEAD_HOURS + math.ceil(pays_back_hours)
    hosts = (replace(host, is_on=host.is_on and host.id not in answer.hosts_to_power_off) for host in world.hosts)
    rows = (replace(row, host=answer.placement_after.get(row.id) or row.host) for row in world.workloads)
    after = replace(world, hosts=tuple(hosts), workloads=tuple(rows))
    if why := why_more_needed(after, policy, now, hours):
        return f"By what is usual within {hours} hours, the hosts would be needed again: {why}"
    return ""


def _plain(policy: planner.Policy) -> planner.Policy:
    """One number a workload counts, that of the coming hours."""
    return replace(policy, use_profiles=False)
