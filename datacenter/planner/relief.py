"""Hosts over their limits: the cheapest workloads move off until the limits hold again."""

from __future__ import annotations

import numpy as np

from .budget import within_budget
from .packing import Packing
from .problem import Flags, Floats, Ints, Problem


def overload(problem: Problem, assignment: Ints) -> Floats:
    """By host, how far it is over its limits: the largest excess as a share of the limit, 0 where all fits."""
    free = problem.free_under(assignment)
    excess = np.maximum(0.0, -free / np.maximum(problem.limits, 1e-12)).max(axis=1, initial=0.0)
    return np.where(problem.holds(free.T >= 0), 0.0, excess)


def relieved(problem: Problem, assignment: Ints, stays: Flags, wanted: Flags | None = None) -> Ints:
    """The assignment with workloads moved off overloaded hosts (or those in `wanted`), to hosts that stay on first."""
    over = (overload(problem, assignment) > 0) & problem.is_on
    hot = np.flatnonzero(over if wanted is None else over & wanted)
    if not len(hot):
        return assignment
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open))
    idle = np.flatnonzero(problem.is_open & ~stays)
    for host in np.flatnonzero(over):
        packing.close(int(host))
    for host in hot:
        for host_idle in idle:
            packing.close(int(host_idle))
        if not _cool(problem, packing, int(host)):
            for host_idle in idle:
                packing.reopen(int(host_idle))
            _cool(problem, packing, int(host))
    return packing.assignment


def _cool(problem: Problem, packing: Packing, host: int) -> bool:
    """Moves units off the host while it is over; True when it is within its limits."""
    while True:
        mine = np.flatnonzero((packing.assignment == host) & ~problem.fixed)
        here = np.flatnonzero(packing.assignment == host)
        excess = problem.need[here].sum(axis=0) - problem.limits[host]
        if problem.holds(excess <= 0):
            return True
        over = excess > 0
        helps = mine[(problem.need[mine][:, over] > 0).any(axis=1)]
        cures = (problem.need[helps][:, over] >= excess[over]).all(axis=1)
        gain = np.minimum(problem.need[helps][:, over] / excess[over], 1.0).sum(axis=1)
        order = np.lexsort((helps, problem.copy_cost[helps], -gain, ~cures))
        for unit in helps[order]:
            target = packing.best_fit(int(unit))
            allowed = within_budget(problem, packing.assignment, np.array([unit]))
            if target >= 0 and allowed:
                packing.move(int(unit), target)
                break
        else:
            return False
