"""Even load over hosts with a limited number of moves: annealing on the spread of every measure.

The score is a weighted sum of standard deviations over hosts (of memory's share, of CPU's share, of the number of
workloads ...). A workload with a replica (`standby`) can only trade places with it; a host then owes the replicas
on it as much memory as the loss of any one other host would ask for, and hosts that can't give it count too.

Source of the score: Ganeti htools, "Cluster score", hbal(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from .problem import Flags, Floats, Ints

STEPS_BY_UNIT = 1_000  # proposals for each unit that may move
Books = Any  # what `_opened` returns; compiled code knows its types


@dataclass(frozen=True, eq=False)
class Load:
    """What is to be evened out: units in rows of `need`, hosts in rows of `size` (what a full host holds)."""

    need: Floats  # [units x measures]
    size: Floats  # [hosts x measures]: the spread is that of need / size
    limit: Floats  # [hosts x measures]
    weight: Floats  # [measures]
    home: Ints  # unit -> host
    movable: Flags
    group: Ints  # unit -> row of `allowed`
    allowed: Flags  # [groups x hosts]
    standby: Ints | None = None  # unit -> host of its replica; memory is measure 0


def level(load: Load, most_moves: int, steps: int | None = None, seed: int = 1) -> Ints:
    """Host of every unit, at most so many of them away from home, and never more uneven than at home."""
    movers = np.flatnonzero(load.movable)
    if not len(movers) or most_moves <= 0:
        return load.home.copy()
    standby = np.full(len(load.home), -1, dtype=np.int64) if load.standby is None else load.standby.copy()
    steps = STEPS_BY_UNIT * len(movers) if steps is None else steps
    return _anneal(
        load.need,
        load.size,
        load.limit,
        load.weight,
        load.home,
        movers,
        load.group,
        load.allowed,
        standby,
        load.standby is not None,
        most_moves,
        steps,
        seed,
    )


def score_of(load: Load, assignment: Ints) -> float:
    """The score of an assignment; a unit that is not at home has its replica there."""
    standby = np.full(len(load.home), -1, dtype=np.int64) if load.standby is None else load.standby
    standby = np.where((assignment != load.home) & (standby >= 0), load.home, standby)
    books = _opened(load.need, load.size, load.weight, assignment, standby, load.standby is not None)
    return float(_total(books))


@njit(cache=True)
def _opened(need: Floats, size: Floats, weight: Floats, at: Ints, standby: Ints, with_standby: bool) -> Books:
    """The books of an assignment: (shares, their sums, weights, size, owed, lost with whom, inside, totals)."""
    hosts, measures = size.shape
    share = np.zeros((hosts, measures + 1))
    sums = np.zeros((2, measures + 1))
    inside = np.zeros(hosts, dtype=np.int64)
    lost_with = np.zeros((hosts, hosts)) if with_standby else np.zeros((0, 0))
    for unit in range(len(at)):
        for k in range(measures):
            share[at[unit], k] += need[unit, k] / size[at[unit], k]
        inside[at[unit]] += 1
        if standby[unit] >= 0:
            inside[standby[unit]] += 1
            lost_with[standby[unit], at[unit]] += need[unit, 0]
    if with_standby:
        for host in range(hosts):
            share[host, measures] = lost_with[host].max() / size[host, 0]
    for host in range(hosts):
        for k in range(measures + 1):
            sums[0, k] += share[host, k]
            sums[1, k] += share[host, k] ** 2
    unready = np.zeros(1)
    for host in range(hosts):
        unready[0] += _unready(share, inside, host)
    return share, sums, weight, inside, lost_with, unready


@njit(cache=True)
def _unready(share: Floats, inside: Ints, host: int) -> float:
    """Workloads and replicas on the host, if it lacks the memory that it owes its replicas."""
    last = share.shape[1] - 1
    return float(inside[host]) if share[host, last] > 0 and share[host, 0] + share[host, last] > 1 + 1e-12 else 0.0


@njit(cache=True)
def _total(books: Books) -> float:
    share, sums, weight, _, lost_with, unready = books
    hosts, last = share.shape[0], share.shape[1] - 1
    total = unready[0]
    for k in range(last + 1):
        mean = sums[0, k] / hosts
        spread = np.sqrt(max(0.0, sums[1, k] / hosts - mean * mean))
        total += spread * (weight[k] if k < last else min(1.0, float(len(lost_with))))
    return total + 0.25 * sums[0, last]


@njit(cache=True)
def _move(books: Books, need: Floats, size: Floats, at: Ints, standby: Ints, unit: int, target: int) -> None:
    """Books the unit over; its replica, if it has one, goes the other way."""
    share, sums, _, inside, lost_with, unready = books
    source, last = at[unit], share.shape[1] - 1
    for host in (source, target):
        unready[0] -= _unready(share, inside, host)
        for k in range(last + 1):
            sums[0, k] -= share[host, k]
            sums[1, k] -= share[host, k] ** 2
    for k in range(last):
        share[source, k] -= need[unit, k] / size[source, k]
        share[target, k] += need[unit, k] / size[target, k]
    if standby[unit] >= 0:
        lost_with[target, source] -= need[unit, 0]
        lost_with[source, target] += need[unit, 0]
        for host in (source, target):
            share[host, last] = lost_with[host].max() / size[host, 0]
        standby[unit] = source
    else:
        inside[source] -= 1
        inside[target] += 1
    at[unit] = target
    for host in (source, target):
        unready[0] += _unready(share, inside, host)
        for k in range(last + 1):
            sums[0, k] += share[host, k]
            sums[1, k] += share[host, k] ** 2


@njit(cache=True)
def _fits(books: Books, need: Floats, size: Floats, limit: Floats, unit: int, target: int) -> bool:
    share, last = books[0], books[0].shape[1] - 1
    fits = True
    for k in range(last):
        fits &= share[target, k] * size[target, k] + need[unit, k] <= limit[target, k] + 1e-6
    return fits


@njit(cache=True)
def _left(away: Ints, slot: Ints, moved: int, unit: int) -> int:
    """Takes the unit out of those away; how many are left."""
    last = away[moved - 1]
    away[slot[unit]], slot[last] = last, slot[unit]
    slot[unit] = -1
    return moved - 1


@njit(cache=True)
def _anneal(
    need: Floats,
    size: Floats,
    limit: Floats,
    weight: Floats,
    home: Ints,
    movers: Ints,
    group: Ints,
    allowed: Flags,
    standby: Ints,
    with_standby: bool,
    most_moves: int,
    steps: int,
    seed: int,
) -> Ints:
    np.random.seed(seed)
    at, first_standby = home.copy(), standby
    standby = standby.copy()
    books = _opened(need, size, weight, at, standby, with_standby)
    score = _total(books)
    best, best_score, moved = at.copy(), score, 0
    hot = max(score / len(size) / 2, 1e-12)
    away = np.zeros(max(1, most_moves), dtype=np.int64)
    slot = np.full(len(home), -1, dtype=np.int64)
    for step in range(steps):
        temperature = hot * 1e-4 ** (step / steps)
        if moved > 0 and np.random.random() < 0.4:
            unit = away[np.random.randint(moved)]
        else:
            unit = movers[np.random.randint(len(movers))]
        if first_standby[unit] >= 0:
            target = standby[unit]
        else:
            target = np.random.randint(len(size)) if np.random.random() < 0.8 else home[unit]
        source = at[unit]
        if target == source or not allowed[group[unit], target]:
            continue
        if not _fits(books, need, size, limit, unit, target):
            continue
        back, back_from = -1, -1
        if moved == most_moves and source == home[unit]:
            back = away[np.random.randint(moved)]  # the budget is spent: one returns for one that goes
            back_from = at[back]
            if not _fits(books, need, size, limit, back, home[back]):
                continue
            _move(books, need, size, at, standby, back, home[back])
            if not _fits(books, need, size, limit, unit, target):
                _move(books, need, size, at, standby, back, back_from)
                continue
        _move(books, need, size, at, standby, unit, target)
        new = _total(books)
        if new > score and np.random.random() >= np.exp((score - new) / temperature):
            _move(books, need, size, at, standby, unit, source)
            if back >= 0:
                _move(books, need, size, at, standby, back, back_from)
            continue
        score = new
        if back >= 0:
            moved = _left(away, slot, moved, back)
        if source == home[unit]:
            away[moved], slot[unit] = unit, moved
            moved += 1
        elif target == home[unit]:
            moved = _left(away, slot, moved, unit)
        if score < best_score - 1e-9:
            best_score = score
            best[:] = at
    return best
