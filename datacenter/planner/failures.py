"""N+k: can everything be restarted after the loss of any k hosts?

The proof is a placement: for every workload of every host lost, a host that stays on and has room for it,
with all that must restart beside it. What is pinned to its host is not asked for: it cannot run elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from .packing import Packing
from .problem import Flags, Ints, Problem

PAIRS_TRIED = 3_000  # sets of lost hosts beyond which only the fullest hosts are combined


def restart_hosts(problem: Problem, assignment: Ints, stays: Flags, failures: int) -> dict[str, str] | str:
    """Where each workload restarts if its host is lost, or the sentence about the first that cannot.

    For more than one failure the answer names the places for the loss of the host alone; every set of
    `failures` hosts was tried as well.
    """
    where: dict[str, str] = {}
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open & stays))
    on_host: list[list[int]] = [[] for _ in problem.hosts]
    for unit, host in enumerate(assignment):
        if host >= 0 and not _bound_to_host(problem, unit):
            on_host[int(host)].append(unit)
    for lost in _losses(problem, on_host, stays, failures):
        placed = _restart(packing, lost, on_host)
        if isinstance(placed, int):
            names = " and ".join(problem.hosts[host].label for host in lost)
            return f"After the loss of {names}, {problem.unit_label(placed)} could not be restarted anywhere."
        if len(lost) == 1:
            for unit, host in placed.items():
                for index in problem.units[unit]:
                    where[problem.workloads[index].id] = problem.hosts[host].id
    return where


def _restart(packing: Packing, lost: tuple[int, ...], on_host: list[list[int]]) -> dict[int, int] | int:
    """Hosts for all units of the lost hosts, or the unit that found none; the packing is left as it was."""
    homes = {unit: host for host in lost for unit in on_host[host]}
    for host in lost:
        packing.close(host)
    placed: dict[int, int] = {}
    failed = -1
    for unit in sorted(homes, key=lambda unit: (-packing.weight[unit], unit)):
        target = packing.best_fit(unit)
        if target < 0:
            failed = unit
            break
        packing.move(unit, target)
        placed[unit] = target
    for unit in reversed(placed):
        packing.move(unit, homes[unit])
    for host in lost:
        packing.reopen(host)
    return placed if failed < 0 else failed


def _losses(problem: Problem, on_host: list[list[int]], stays: Flags, failures: int) -> Iterator[tuple[int, ...]]:
    hosts = [int(host) for host in np.flatnonzero(stays) if on_host[int(host)]]
    yield from ((host,) for host in hosts)
    load = {host: float((problem.need[on_host[host]] @ problem.scale).sum()) for host in hosts}
    fullest = sorted(hosts, key=lambda host: (-load[host], host))
    for size in range(2, failures + 1):
        for tried, lost in enumerate(combinations(fullest, size)):
            if tried == PAIRS_TRIED:
                break
            yield lost


def _bound_to_host(problem: Problem, unit: int) -> bool:
    return any(problem.workloads[index].pinned for index in problem.units[unit])


def standby_hosts(problem: Problem, forced: Flags, count: int) -> Ints:
    """The hosts best kept empty to take over for lost ones: as large as any, with little on them now."""
    choice = np.flatnonzero(problem.is_open & ~forced)
    size = problem.limits[choice] @ problem.scale
    load = size - problem.free_under(problem.home)[choice] @ problem.scale
    return choice[np.lexsort((choice, load, -size))[:count]]
