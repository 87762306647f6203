"""Which of two placements is better, in the operator's order: limits kept, hosts (or watts), bytes, moves."""

from __future__ import annotations

import numpy as np

from .power import expected_cpu_cores, host_watts
from .problem import Flags, Ints, Problem
from .relief import overload

Cost = tuple[float, float, float, float]


def cost_of(problem: Problem, assignment: Ints) -> Cost:
    """Less is better: overload, then hosts left on (or watts under that objective), GiB moved, units moved."""
    stays = hosts_staying_on(problem, assignment)
    moved = assignment != problem.home
    first = float(stays.sum())
    if problem.policy.objective == "watts":
        first = round(watts_of(problem, assignment, stays), 6)
    over = round(float(overload(problem, assignment)[problem.is_on].sum()), 6)
    return over, first, round(float(problem.copy_cost[moved].sum()), 6), float(moved.sum())


def hosts_staying_on(problem: Problem, assignment: Ints) -> Flags:
    """Hosts left on: those with work, those without power control, and the warm reserve."""
    busy = np.zeros(len(problem.hosts), dtype=bool)
    busy[assignment[assignment >= 0]] = True
    keep = np.array([not host.can_power_off for host in problem.hosts], dtype=bool)
    stays = problem.is_on & (busy | keep)
    policy = problem.policy
    spare = max(policy.spare_hosts, policy.survive_failures) - int((stays & ~busy & problem.is_open).sum())
    empty = np.flatnonzero(problem.is_on & problem.is_open & ~stays)
    size = problem.limits @ problem.scale * (policy.survive_failures > 0)  # must stand in for any other
    order = sorted(empty, key=lambda host: (-size[host], problem.hosts[host].idle_watts, host))
    stays[order[: max(0, spare)]] = True
    return stays


def watts_of(problem: Problem, assignment: Ints, stays: Flags) -> float:
    """Watts of the hosts that stay on under that assignment."""
    used = np.zeros(len(problem.hosts))
    for unit, members in enumerate(problem.units):
        if assignment[unit] >= 0:
            used[assignment[unit]] += sum(
                expected_cpu_cores(problem.workloads[index], problem.policy) for index in members
            )
    return sum(host_watts(problem.hosts[host], float(used[host])) for host in np.flatnonzero(stays))
