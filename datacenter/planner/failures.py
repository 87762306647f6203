"""N+k: can everything be restarted after the loss of any k hosts, or of a rack, at any moment of a plan?

The proof is a placement: for every workload of every host lost, a host that has room for it, with all that must
restart beside it. What is pinned to its host is not asked for: it cannot run elsewhere. There are two proofs:

- *In the end*: on the hosts that stay on, with everything where the plan brings it.
- *On the way*: on all hosts that are on now, so none is switched off before the last move is done. Room is what is
  left beside all that was on a host at first and all that the plan ever brings to it, so it is there whenever the
  loss comes. A workload that moves has both its places counted there, and restarts in the one that is not lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from math import comb

import numpy as np

from .model import JointLoss, Move
from .packing import Packing
from .problem import Flags, Floats, Ints, Problem

SETS_TRIED = 3_000  # sets of lost hosts beyond which only the fullest hosts are combined
Loss = tuple[int, ...]


@dataclass
class Restarts:
    """A proof, by ids: hosts by workload for a host lost alone, and for those lost together where it differs.

    `unsurvived` are losses on the way that are not survived as things are either; `untried` is a sentence about
    what was too much to be tried.
    """

    alone: dict[str, str] = field(default_factory=dict)
    together: list[JointLoss] = field(default_factory=list)
    unsurvived: list[tuple[str, ...]] = field(default_factory=list)
    untried: tuple[str, ...] = ()


def restarts_in_the_end(problem: Problem, assignment: Ints, stays: Flags) -> Restarts | str:
    """Where each workload restarts under the policy's N+k, or the sentence about the first that cannot."""
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open & stays))
    on_host = _wards(problem, assignment, assignment)
    losses = [(lost, _of(on_host, lost)) for lost in _losses(problem, on_host, stays)]
    found = _prove(packing, losses)
    if isinstance(found, str):
        return found
    found.untried = _untried(problem, int(stays.sum()))
    return found


def restarts_on_the_way(problem: Problem, assignment: Ints, moves: tuple[Move, ...]) -> Restarts | str:
    """The same for every moment of the moves, for what has no second place kept for it."""
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open))
    worst = _worst_free(problem, moves)[packing.receivers].T
    packing.free, packing.slack = np.ascontiguousarray(worst), problem.scale @ worst
    on_host = _wards(problem, problem.home, assignment)
    losses = []
    for lost in _losses(problem, on_host, problem.is_on):
        inside = set(lost)
        losses.append((lost, [unit for unit in _of(on_host, lost) if {assignment[unit], problem.home[unit]} <= inside]))
    now = Packing(problem, problem.home, np.flatnonzero(problem.is_open))
    return _prove(packing, losses, now, _wards(problem, problem.home, problem.home))


def _prove(
    packing: Packing,
    losses: Iterable[tuple[Loss, list[int]]],
    now: Packing | None = None,
    at_home: dict[int, list[int]] | None = None,
) -> Restarts | str:
    """Places for each loss. One that `now`, before any move, is not survived either is only noted."""
    problem, answer = packing.problem, Restarts()
    alone: dict[int, int] = {}
    for lost, units in losses:
        placed = _restart(packing, lost, units, alone)
        names = tuple(sorted(problem.hosts[host].id for host in lost))
        if isinstance(placed, int):
            if now is not None and isinstance(_restart(now, lost, _of(at_home or {}, lost), {}), int):
                answer.unsurvived.append(names)
                continue
            labels = " and ".join(problem.hosts[host].label for host in lost)
            return f"After the loss of {labels}, {problem.unit_label(placed)} could not be restarted anywhere."
        if len(lost) == 1:
            alone |= placed
        different = {unit: host for unit, host in placed.items() if alone.get(unit) != host}
        if different:
            answer.together.append(JointLoss(names, _by_id(problem, different)))
    answer.alone = _by_id(problem, alone)
    return answer


def _wards(problem: Problem, first: Ints, last: Ints) -> dict[int, list[int]]:
    """Units that must restart, by each host that they are on first or last."""
    on_host: dict[int, list[int]] = defaultdict(list)
    for unit in range(len(problem.units)):
        if must_restart(problem, unit):
            for host in {int(first[unit]), int(last[unit])} - {-1}:
                on_host[host].append(unit)
    return on_host


def _of(on_host: dict[int, list[int]], lost: Loss) -> list[int]:
    return list(dict.fromkeys(unit for host in lost for unit in on_host.get(host, ())))


def _worst_free(problem: Problem, moves: tuple[Move, ...]) -> Floats:
    """What each host has left beside everything that is on it at any moment of the plan."""
    free = problem.free_under(problem.home)
    host = {item.id: row for row, item in enumerate(problem.hosts)}
    row = {item.id: number for number, item in enumerate(problem.workloads)}
    for move in moves:
        free[host[move.target]] -= problem.workload_need[row[move.workload]]
    return free


def _restart(packing: Packing, lost: Loss, units: list[int], preferred: dict[int, int]) -> dict[int, int] | int:
    """Hosts for all units of the lost hosts, those preferred where they fit, or a unit that found none."""
    placed = _try_restart(packing, lost, units, preferred)
    return _try_restart(packing, lost, units, {}) if isinstance(placed, int) and preferred else placed


def _try_restart(packing: Packing, lost: Loss, units: list[int], preferred: dict[int, int]) -> dict[int, int] | int:
    """One attempt; the packing is left as it was."""
    homes = {unit: int(packing.assignment[unit]) for unit in units}
    for host in lost:
        packing.close(host)
    placed: dict[int, int] = {}
    failed = -1
    for unit in sorted(units, key=lambda unit: (-packing.weight[unit], unit)):
        wanted = preferred.get(unit, -1)
        is_free = wanted >= 0 and packing.candidates(unit)[packing.row_of[wanted]]
        target = wanted if is_free else packing.best_fit(unit)
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


def _losses(problem: Problem, on_host: dict[int, list[int]], stays: Flags) -> Iterator[Loss]:
    """Each host, each rack if asked, and every combination of k, the fullest first."""
    hosts = sorted(host for host in on_host if stays[host])
    yield from ((host,) for host in hosts)
    if problem.policy.survive_rack:
        racks: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in np.flatnonzero(stays):
            if problem.hosts[row].rack:
                racks[problem.hosts[row].site, problem.hosts[row].rack].append(int(row))
        yield from (tuple(rack) for rack in racks.values() if len(rack) > 1)
    # with the empty ones: a host and the standby that would take over for it may be lost together
    load = {int(host): 0.0 for host in np.flatnonzero(stays)}
    load |= {host: float((problem.need[on_host[host]] @ problem.scale).sum()) for host in hosts}
    fullest = sorted(load, key=lambda host: (-load[host], host))
    for size in range(2, problem.policy.survive_failures + 1):
        for tried, lost in enumerate(combinations(fullest, size)):
            if tried == SETS_TRIED:
                break
            yield lost


def _untried(problem: Problem, hosts: int) -> tuple[str, ...]:
    return tuple(
        f"The loss of {size} hosts was tried for the {SETS_TRIED:,} fullest sets of {comb(hosts, size):,} only."
        for size in range(2, problem.policy.survive_failures + 1)
        if comb(hosts, size) > SETS_TRIED
    )


def must_restart(problem: Problem, unit: int) -> bool:
    members = [problem.workloads[index] for index in problem.units[unit]]
    wanted = any(item.priority >= problem.policy.survive_priority for item in members)
    return wanted and not any(item.pinned for item in members)


def _by_id(problem: Problem, placed: dict[int, int]) -> dict[str, str]:
    return {
        problem.workloads[index].id: problem.hosts[host].id
        for unit, host in placed.items()
        for index in problem.units[unit]
    }


def standby_hosts(problem: Problem, forced: Flags) -> Ints:
    """The hosts best kept empty to take over for lost ones: as large as any, with little on them now."""
    policy = problem.policy
    count = policy.spare_hosts if policy.survive_failures or policy.survive_rack else 0
    choice = np.flatnonzero(problem.is_open & ~forced)
    size = problem.limits[choice] @ problem.scale
    load = size - problem.free_under(problem.home)[choice] @ problem.scale
    return choice[np.lexsort((choice, load, -size))[:count]]
