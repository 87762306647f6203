"""Fewest equal bins for items with several sizes each: the bare problem under consolidation.

First every item is put, largest first, where its sizes point most along the room left, into a fixed number of
bins, the fewest in which that works. Where few items share a bin, `patterns` then looks for whole bins' contents
that go together. Last, one bin after the other is dissolved: its items wait in a pool and
are put in by ejecting one or two items that cost least, an item costing more the more often it was hard to
place; in between, random swaps that fit keep the bins moving.

Source: Nagata and Braysy, "A powerful route minimization heuristic for the vehicle routing problem with time
windows", Operations Research Letters 37 (2009), whose ejection pool this carries over from routes to bins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from .patterns import pack_by_patterns
from .problem import Floats, Ints

ROUND = 2_000  # ejections between two looks at `should_stop`
PATIENCE = 150  # rounds spent on dissolving one bin
FEW_TOGETHER, FEW_ITEMS = 6.0, 1_500  # items by bin, and items, up to which patterns are worth their time


def pack(
    needs: Floats,
    capacity: Floats,
    should_stop: Callable[[], bool] = lambda: False,
    patience: int = PATIENCE,
    seed: int = 1,
) -> Ints:
    """Bin of every item, with as few bins as were found. Raises ValueError if an item exceeds a bin.

    `should_stop` ends the search between rounds with the best answer so far.
    """
    sizes = np.ascontiguousarray(needs / np.maximum(capacity, 1e-12))
    if len(sizes) == 0:
        return np.zeros(0, dtype=np.int64)
    if sizes.max() > 1 + 1e-9:
        raise ValueError("an item is larger than a bin")
    best = _fewest_filled(sizes)
    least = lower_bound(sizes)
    if len(sizes) <= FEW_ITEMS and len(sizes) <= FEW_TOGETHER * least and best.max() >= least:
        best, least = pack_by_patterns(sizes, best, least, max(1, patience // 20), should_stop, seed)
    for round_ in range(patience):
        bins = int(best.max()) + 1
        if bins <= least or should_stop():
            break
        smaller = _without_smallest_bin(sizes, best)
        penalty = np.ones(len(sizes))
        for number in range(patience):
            if _eject(sizes, smaller, bins - 1, penalty, ROUND, seed + 1_009 * round_ + number):
                best = smaller
                break
            if should_stop():
                return best
        else:
            break
    return best


def _fewest_filled(sizes: Floats) -> Ints:
    """The filling of the fewest bins from the bound on in which every item finds room at once."""
    low, best = lower_bound(sizes), _fill(sizes, len(sizes))
    high = int(best.max()) + 1
    while low < high:
        middle = (low + high) // 2
        filled = _fill(sizes, middle)
        if (filled >= 0).all():
            best, high = filled, middle
        else:
            low = middle + 1
    return best


def _without_smallest_bin(sizes: Floats, assignment: Ints) -> Ints:
    """The same without its emptiest bin, whose items go to the pool."""
    load = np.zeros(int(assignment.max()) + 1)
    np.add.at(load, assignment, sizes.sum(axis=1))
    dropped = int(load.argmin())
    result = np.where(assignment == dropped, -1, assignment)
    return np.where(result > dropped, result - 1, result)


def lower_bound(sizes: Floats) -> int:
    """The larger of the aggregate of every dimension and a set of items no two of which share a bin."""
    aggregate = int(np.ceil(sizes.sum(axis=0).max() - 1e-9))
    alone = 0
    chosen: list[int] = []
    for item in np.argsort(-sizes.max(axis=1), kind="stable"):
        if all((sizes[item] + sizes[other] > 1 + 1e-9).any() for other in chosen):
            chosen.append(int(item))
            alone += 1
    return max(1, aggregate, alone)


@njit(cache=True)
def _fill(sizes: Floats, bins: int) -> Ints:
    """Items into that many bins, largest first, by the dot product of size and room; -1 where none has room."""
    count, width = sizes.shape
    free = np.ones((bins, width))
    assignment = np.full(count, -1, dtype=np.int64)
    total = np.zeros(width)
    for item in range(count):
        for column in range(width):
            total[column] += sizes[item, column]
    weight = np.zeros(count)
    for item in range(count):
        for column in range(width):
            weight[item] += sizes[item, column] * total[column]
    used = 0
    for item in np.argsort(-weight):
        best, best_score = -1, -1.0
        for place in range(min(bins, used + 1) if bins == count else bins):
            score, fits = 0.0, True
            for column in range(width):
                if sizes[item, column] > free[place, column] + 1e-9:
                    fits = False
                    break
                score += sizes[item, column] * free[place, column] * total[column]
            if fits and bins == count and place < used:
                score += 1e9  # when bins are free to choose, open a new one only if none fits
            if fits and score > best_score:
                best, best_score = place, score
        if best >= 0:
            assignment[item] = best
            used = max(used, best + 1)
            for column in range(width):
                free[best, column] -= sizes[item, column]
    return assignment


@njit(cache=True)
def _eject(sizes: Floats, assignment: Ints, bins: int, penalty: Floats, steps: int, seed: int) -> bool:
    """Works the pool (items at -1) for so many steps; True once it is empty."""
    np.random.seed(seed % 2_147_483_647)
    count, width = sizes.shape
    free = np.ones((bins, width))
    inside = np.full((bins, count), -1, dtype=np.int64)
    held = np.zeros(bins, dtype=np.int64)
    slot = np.zeros(count, dtype=np.int64)
    pool = np.zeros(count, dtype=np.int64)
    waiting = 0
    for item in range(count):
        place = assignment[item]
        if place < 0:
            pool[waiting] = item
            waiting += 1
            continue
        inside[place, held[place]] = item
        slot[item] = held[place]
        held[place] += 1
        for column in range(width):
            free[place, column] -= sizes[item, column]
    room = np.zeros(width)
    for _ in range(steps):
        if waiting == 0:
            return True
        chosen = np.random.randint(waiting)
        item = pool[chosen]
        target, first, second, cost, ties = -1, -1, -1, 1e18, 0
        for place in range(bins):
            lacks = 0
            for column in range(width):
                room[column] = free[place, column] - sizes[item, column] + 1e-9
                if room[column] < 0:
                    lacks += 1
            if lacks == 0:
                if cost > 0:
                    ties = 0
                ties += 1
                if cost > 0 or np.random.randint(ties) == 0:
                    target, first, second = place, -1, -1
                cost = 0.0
                continue
            if cost == 0:
                continue
            for a in range(held[place]):
                one = inside[place, a]
                if penalty[one] > cost:
                    continue
                fits = True
                for column in range(width):
                    if room[column] + sizes[one, column] < 0:
                        fits = False
                        break
                if fits:
                    if penalty[one] < cost:
                        ties = 0
                    ties += 1
                    if np.random.randint(ties) == 0:
                        target, first, second, cost = place, one, -1, penalty[one]
                    continue
                for b in range(a):
                    two = inside[place, b]
                    both = penalty[one] + penalty[two]
                    if both > cost:
                        continue
                    fits = True
                    for column in range(width):
                        if room[column] + sizes[one, column] + sizes[two, column] < 0:
                            fits = False
                            break
                    if fits:
                        if both < cost:
                            ties = 0
                        ties += 1
                        if np.random.randint(ties) == 0:
                            target, first, second, cost = place, one, two, both
        if cost > 0:
            penalty[item] += 1.0
        if target >= 0:
            waiting -= 1
            pool[chosen] = pool[waiting]
            for out in (first, second):
                if out >= 0:
                    last = inside[target, held[target] - 1]
                    inside[target, slot[out]] = last
                    slot[last] = slot[out]
                    held[target] -= 1
                    assignment[out] = -1
                    pool[waiting] = out
                    waiting += 1
                    for column in range(width):
                        free[target, column] += sizes[out, column]
            inside[target, held[target]] = item
            slot[item] = held[target]
            held[target] += 1
            assignment[item] = target
            for column in range(width):
                free[target, column] -= sizes[item, column]
        for _swap in range(12):
            one, two = np.random.randint(count), np.random.randint(count)
            here, there = assignment[one], assignment[two]
            if here < 0 or there < 0 or here == there:
                continue
            fits = True
            for column in range(width):
                change = sizes[one, column] - sizes[two, column]
                if free[here, column] + change < -1e-9 or free[there, column] - change < -1e-9:
                    fits = False
                    break
            if not fits:
                continue
            for column in range(width):
                change = sizes[one, column] - sizes[two, column]
                free[here, column] += change
                free[there, column] -= change
            assignment[one], assignment[two] = there, here
            inside[here, slot[one]], inside[there, slot[two]] = two, one
            slot[one], slot[two] = slot[two], slot[one]
    return waiting == 0
