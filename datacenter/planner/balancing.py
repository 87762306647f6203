"""Even load: the moves that bring hosts nearest to each other, as few as a limit allows."""

from __future__ import annotations

import numpy as np

from .assembly import assemble
from .leveling import Load, level, score_of
from .model import DataCenter, Plan, Policy
from .problem import Ints, Problem, problem_of
from .validation import check_input

SHARE_MOVED = 0.13  # of the workloads, where the policy sets no limit: later moves gain little
WORTH = 0.01  # of the unevenness: less gain is not worth a plan


def balance(data_center: DataCenter, policy: Policy) -> Plan:
    """The plan that evens out, over the hosts that are on and take work, every resource's share in use.

    Moves are at most the policy's `max_moves` (13 % of the workloads without one) and `max_moved_gib`. Empty when
    the load is even. The same input gives the same plan. Raises Invalid with a sentence for input that no plan
    can be made of.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    return assemble(problem, _leveled(problem), "balance")


def _leveled(problem: Problem) -> Ints:
    """The evenest assignment found within the policy's budget; home where it gains next to nothing."""
    taking = np.flatnonzero(problem.is_on & problem.is_open)
    if len(taking) < 2:
        return problem.home
    load, units = _load_of(problem, taking)
    most, at = _most_moves(problem), problem.home.copy()
    while most > 0 and len(units):
        found = level(load, most)
        at[units] = taking[found]
        moved = at != problem.home
        budget = problem.policy.max_moved_gib
        if budget is None or problem.copy_cost[moved].sum() <= budget:
            gain = score_of(load, load.home) - score_of(load, found)
            return at if gain > WORTH * score_of(load, load.home) else problem.home
        most = min(most, int(moved.sum())) // 2
    return problem.home


def _most_moves(problem: Problem) -> int:
    """Units that may move, so that the workloads in them stay within the policy's limit."""
    limit = problem.policy.max_moves
    if limit is None:
        return max(1, int(SHARE_MOVED * len(problem.units)))
    return limit // max(len(members) for members in problem.units)


def _load_of(problem: Problem, taking: Ints) -> tuple[Load, Ints]:
    """What is to be evened out, on those hosts alone, and the units that are on them."""
    row = np.full(len(problem.hosts), -1, dtype=np.int64)
    row[taking] = np.arange(len(taking))
    units = np.flatnonzero((problem.home >= 0) & (row[problem.home] >= 0))
    used = problem.need.sum(axis=0) > 0
    names = [dimension.label for dimension in problem.dimensions]
    weight = np.array([1.0 / names.count(name) for name in names])[used]
    ruled = np.diff(problem.rules.of_unit_start)[units] > 0
    size = problem.limits[np.ix_(taking, used)]
    load = Load(
        need=np.ascontiguousarray(problem.need[np.ix_(units, used)]),
        size=np.maximum(size, 0.01 * size.mean(axis=0)),
        limit=size,
        weight=weight,
        home=row[problem.home[units]],
        movable=~problem.fixed[units] & ~ruled,  # a unit under a rule stays: what it would break is not evenness
        group=problem.group[units],
        allowed=np.ascontiguousarray(problem.allowed[:, taking]),
    )
    return load, units
