"""Fewest hosts by emptying one after the other, each wholly or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .bounds import must_stay_on
from .budget import within_budget
from .cost import cost_of
from .failures import standby_hosts
from .packing import Packing
from .problem import Ints, Problem
from .watching import Watch


def drain(problem: Problem, watch: Watch | None = None) -> Ints:
    """The best assignment found by draining hosts in several orders; the present one when none is better."""
    watch = watch or Watch()
    best, best_cost = problem.home, cost_of(problem, problem.home)
    for order in _orders(problem):
        assignment = _drain_in(problem, order)
        cost = cost_of(problem, assignment)
        if cost < best_cost:
            best, best_cost = assignment, cost
            watch.found(problem, best)
        if watch.is_over():
            break
    return best


def _drain_in(problem: Problem, order: Ints) -> Ints:
    """Empties what can be emptied, in that order, until a whole pass frees nothing more."""
    packing = Packing(problem, problem.home, np.flatnonzero(problem.is_open))
    on_host = _units_by_host(problem)
    left = [int(host) for host in order]
    for host in left:
        if not on_host[host]:
            packing.close(host)
    left = [host for host in left if on_host[host]]
    freed_any = True
    while freed_any and left:
        freed_any, still = False, []
        for host in left:
            units = np.array(sorted(on_host[host], key=lambda unit: (-packing.weight[unit], unit)), dtype=np.int64)
            if within_budget(problem, packing.assignment, units) and packing.try_empty(host, units):
                for unit in units:
                    on_host[int(packing.assignment[unit])].append(int(unit))
                on_host[host] = []
                freed_any = True
            else:
                still.append(host)
        left = still
    return packing.assignment


def candidates_to_free(problem: Problem) -> Ints:
    """Hosts that are on and that nothing fixed keeps on."""
    return np.flatnonzero(problem.is_on & ~must_stay_on(problem))


def _units_by_host(problem: Problem) -> list[list[int]]:
    by_host: list[list[int]] = [[] for _ in problem.hosts]
    for unit, host in enumerate(problem.home):
        if host >= 0:
            by_host[int(host)].append(unit)
    return by_host


def _orders(problem: Problem) -> Iterator[Ints]:
    """Which host to try first: the smallest, the least loaded, the hungriest for its size; then shuffles."""
    hosts = candidates_to_free(problem)
    size = problem.limits[hosts] @ problem.scale
    load = size - problem.free_under(problem.home)[hosts] @ problem.scale
    watts = np.array([problem.hosts[host].peak_watts for host in hosts])
    standby = standby_hosts(problem, ~np.isin(np.arange(len(problem.hosts)), hosts))
    if len(standby):
        rest = hosts[~np.isin(hosts, standby)]
        yield np.concatenate([standby, rest[np.lexsort((rest, size[~np.isin(hosts, standby)]))]])
    yield hosts[np.lexsort((load, size))]
    yield hosts[np.lexsort((size, load))]
    yield hosts[np.lexsort((load, -watts / np.maximum(size, 1e-12)))]
    generator = np.random.default_rng(20)  # fixed, so that the same input gives the same plan
    for _ in range(min(64, 20_000 // (1 + len(problem.units))) * problem.policy.effort):
        noise = generator.uniform(0.3, 1.7, len(hosts))
        yield hosts[np.argsort(load * noise, kind="stable")]
