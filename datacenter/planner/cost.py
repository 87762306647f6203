"""Which of two placements is better, in the operator's order: rules and limits kept, hosts (or watts or money),
bytes, moves."""

from __future__ import annotations

import numpy as np

from .mending import broken_rules
from .power import expected_cpu_cores, host_watts
from .problem import Flags, Ints, Problem
from .relief import overload

Cost = tuple[float, float, float, float, float]
HOURS_PER_YEAR = 8_766


def cost_of(problem: Problem, assignment: Ints) -> Cost:
    """Less is better: broken rules, overload, hosts left on (or watts, or money a year), GiB moved, units moved."""
    stays = hosts_staying_on(problem, assignment)
    moved = assignment != problem.home
    first = float(stays.sum())
    if problem.policy.objective == "watts":
        first = round(watts_of(problem, assignment, stays), 6)
    if problem.policy.objective == "money":
        first = round(money_per_year(problem, assignment, stays), 4)
    over = round(float(overload(problem, assignment)[problem.is_on].sum()), 6)
    return (
        len(broken_rules(problem, assignment)),
        over,
        first,
        round(float(problem.copy_cost[moved].sum()), 6),
        float(moved.sum()),
    )


def hosts_staying_on(problem: Problem, assignment: Ints) -> Flags:
    """Hosts left on: those with work, those without power control, and the warm reserve."""
    busy = np.zeros(len(problem.hosts), dtype=bool)
    busy[assignment[assignment >= 0]] = True
    keep = np.array([not host.can_power_off for host in problem.hosts], dtype=bool)
    stays = problem.is_on & (busy | keep)
    policy = problem.policy
    spare = policy.spare_hosts - int((stays & ~busy & problem.may_stand_by).sum())
    empty = np.flatnonzero(problem.is_on & problem.may_stand_by & ~stays)
    stands_in = policy.survive_failures > 0 or policy.survive_rack
    size = problem.limits @ problem.scale * stands_in  # must do for any other
    order = sorted(empty, key=lambda host: (-size[host], problem.hosts[host].idle_watts, host))
    stays[order[: max(0, spare)]] = True
    return stays


def money_per_year(problem: Problem, assignment: Ints, stays: Flags) -> float:
    """Energy at the policy's tariff, and every core of each host on which a licensed product runs."""
    kwh = watts_of(problem, assignment, stays) * HOURS_PER_YEAR / 1_000
    price = {licence.product: licence.price_per_core_year for licence in problem.policy.licences}
    used = {
        (int(assignment[problem.unit_of[index]]), product)
        for index, workload in enumerate(problem.workloads)
        for product in workload.licences
    }
    licensed = sum(
        price.get(product, 0.0) * (problem.hosts[host].capacity.cpu_cores or 0.0) for host, product in used if host >= 0
    )
    return kwh * problem.policy.price_per_kwh + licensed


def watts_of(problem: Problem, assignment: Ints, stays: Flags) -> float:
    """Watts of the hosts that stay on under that assignment."""
    used = np.zeros(len(problem.hosts))
    for unit, members in enumerate(problem.units):
        if assignment[unit] >= 0:
            used[assignment[unit]] += sum(
                expected_cpu_cores(problem.workloads[index], problem.policy) for index in members
            )
    return sum(host_watts(problem.hosts[host], float(used[host])) for host in np.flatnonzero(stays))
