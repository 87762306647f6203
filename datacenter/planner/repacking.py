"""Fewest hosts by choosing the survivors at once: keep the largest and fullest, pack the rest onto them.

Draining one host after the other fills the survivors by accident. Here the number of hosts is fixed first,
from the proven bound upwards; the hosts that stay are those whose present load costs most to move among those
that give enough room together; everything else is packed onto them, largest first, each where its needs match the
room that is left.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .bounds import must_stay_on, working_bound
from .budget import move_cost, within_budget
from .failures import standby_hosts
from .packing import Packing
from .problem import Flags, Floats, Ints, Problem

MARGINS = (0.0, 0.001, 0.002, 0.004, 0.01, 0.02, 0.04)  # room beyond the aggregate need


def repack(problem: Problem, most_hosts: int, worth: Floats | None = None) -> Ints | None:
    """An assignment with fewer hosts with work than `most_hosts`, the fewest found; None if there is none.

    `worth` by host says which are best kept, where it is not what moving their load would cost.
    """
    worth = _cost_of_leaving(problem) if worth is None else worth
    least = _fewest_in_budget(problem, working_bound(problem).hosts, most_hosts, worth)
    for count in _counts(least, most_hosts):
        for keep in _survivors(problem, count, worth):
            assignment = _pack_onto(problem, keep)
            if assignment is not None:
                return assignment
    return None


def frugality(problem: Problem) -> Floats:
    """Worth by host where energy counts: how much less than the hungriest it draws when idle."""
    idle = np.array([host.idle_watts for host in problem.hosts])
    return np.asarray(idle.max(initial=0.0) - idle)


def _cost_of_leaving(problem: Problem) -> Floats:
    held = np.zeros(len(problem.hosts))
    placed = problem.home >= 0
    np.add.at(held, problem.home[placed], move_cost(problem)[placed])
    return held


def _fewest_in_budget(problem: Problem, least: int, most: int, worth: Floats) -> int:
    """The least number of hosts for which some survivors leave no more to move than the policy allows.

    Found by bisection: the fewer survivors, the more must move.
    """
    low, high = max(1, least), most
    while low < high:
        middle = (low + high) // 2
        keep = next(_survivors(problem, middle, worth), None)
        if keep is not None and within_budget(problem, problem.home, _homeless(problem, keep)):
            high = middle
        else:
            low = middle + 1
    return low


def _counts(least: int, most: int) -> Iterator[int]:
    """Every number below `most` from the bound on, with growing steps where the gap is wide."""
    count, step = max(1, least), 1
    while count < most:
        yield count
        count += step
        if count - least > 8:
            step = max(1, (count - least) // 4)


def _survivors(problem: Problem, count: int, worth: Floats) -> Iterator[Flags]:
    """Sets of `count` hosts to keep: enough room in every dimension, and together worth most."""
    forced = must_stay_on(problem)
    standby = standby_hosts(problem, forced)
    free_choice = np.setdiff1d(np.flatnonzero(problem.is_open & ~forced), standby)
    wanted = count - int(forced.sum())
    if wanted < 0 or wanted > len(free_choice):
        return
    placed = problem.home >= 0
    size = problem.limits @ problem.scale
    total = problem.need[placed & problem.is_on[problem.home]].sum(axis=0)
    for columns in problem.steps:  # the highest totals are those that the policy's risk lets pass
        passed = min(count * problem.steps_over, len(columns) - 1)
        total[columns] = np.minimum(total[columns], np.sort(total[columns])[::-1][passed])
    base = problem.limits[forced].sum(axis=0)
    seen: set[bytes] = set()
    for margin in MARGINS:
        chosen = _cheapest(free_choice, wanted, worth, size, problem.limits, total * (1 + margin) - base)
        if chosen is None:
            return
        keep = forced.copy()
        keep[chosen] = True
        if keep.tobytes() not in seen:
            seen.add(keep.tobytes())
            yield keep


def _cheapest(hosts: Ints, wanted: int, worth: Floats, size: Floats, limits: Floats, needed: Floats) -> Ints | None:
    """The `wanted` hosts that are worth most, with as much weight on their size as the needed room asks for.

    Lagrangian relaxation of the room constraint, its one multiplier found by bisection.
    """

    def top(weight: float) -> Ints:
        score = worth[hosts] / max(worth.sum(), 1e-12) + weight * size[hosts] / max(size.sum(), 1e-12)
        return hosts[np.lexsort((hosts, -score))[:wanted]]

    def gives_enough(chosen: Ints) -> bool:
        return bool((limits[chosen].sum(axis=0) >= needed).all())

    if gives_enough(top(0.0)):
        return top(0.0)
    low, high = 0.0, 1e4
    if not gives_enough(top(high)):
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if gives_enough(top(middle)) else (middle, high)
    return top(high)


def _pack_onto(problem: Problem, keep: Flags) -> Ints | None:
    """All units of the other hosts on the kept ones, or None as soon as that looks hopeless."""
    packing = Packing(problem, problem.home, np.flatnonzero(keep & problem.is_open))
    homeless = _homeless(problem, keep)
    if not within_budget(problem, problem.home, homeless):
        return None
    size = (problem.need / np.maximum(problem.limits.mean(axis=0), 1e-12)).max(axis=1, initial=0.0)
    for unit in homeless[np.lexsort((homeless, -size[homeless]))]:
        target = packing.aligned_fit(int(unit))
        if target < 0:
            return None
        packing.move(int(unit), target)
    return packing.assignment


def _homeless(problem: Problem, keep: Flags) -> Ints:
    """Units whose present host does not stay on."""
    return np.flatnonzero((problem.home >= 0) & problem.is_on[problem.home] & ~keep[problem.home])
