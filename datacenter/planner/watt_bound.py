"""Proof that no plan can do with fewer watts."""

from __future__ import annotations

import numpy as np

from .power import expected_cpu_cores
from .problem import Flags, Floats, Problem


def watts_bound(problem: Problem, forced: Flags, gives: Floats) -> float:
    """The least idle draw of hosts that give enough, and the least that the work on them can add.

    Idle: the forced hosts, and of the others fractions with the fewest watts for what they give, in the dimension
    that asks for most. Work: all CPU in use at the flattest power curve there is; nothing where a host may be asked
    for more CPU than it has, because it then draws no more than its peak.
    """
    on, hosts = problem.is_on, problem.hosts
    idle = np.array([host.idle_watts for host in hosts])
    placed = (problem.home >= 0) & on[problem.home]
    lacks = problem.need[placed].sum(axis=0) - gives[forced].sum(axis=0)
    others = np.flatnonzero(on & ~forced)
    columns = np.flatnonzero(problem.is_strict & (lacks > 0))
    more = max(
        (_cheapest(idle[others], gives[others, column], float(lacks[column])) for column in columns), default=0.0
    )
    return round(float(idle[forced].sum() + more + _work_watts(problem)), 6)


def _cheapest(idle: Floats, gives: Floats, lack: float) -> float:
    """The fractional knapsack: hosts by watts for what they give, the last one in part."""
    useful = gives > 0
    order = np.argsort(idle[useful] / gives[useful], kind="stable")
    watts = 0.0
    for give, draw in zip(gives[useful][order], idle[useful][order], strict=True):
        part = min(1.0, lack / give)
        watts += part * draw
        lack -= give
        if lack <= 0:
            break
    return watts


def _work_watts(problem: Problem) -> float:
    through_time = any(item.resource == "cpu_cores" and item.hour is not None for item in problem.dimensions)
    over = (problem.free_under(problem.home) < 0).any(axis=1)
    cores = [(host.capacity.cpu_cores or 0.0) for host in problem.hosts]
    if through_time or (over & problem.is_on).any():
        return 0.0
    slopes = [
        (host.peak_watts - host.idle_watts) / have for host, have in zip(problem.hosts, cores, strict=True) if have
    ]
    on = {host.id for host in problem.hosts if host.is_on}
    used = sum(expected_cpu_cores(item, problem.policy) for item in problem.workloads if item.host in on)
    return used * min(slopes, default=0.0)
