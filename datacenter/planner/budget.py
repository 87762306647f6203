"""What a plan may cost: the policy's limits on moves and on what they transfer."""

from __future__ import annotations

import numpy as np

from .problem import Floats, Ints, Problem


def move_cost(problem: Problem) -> Floats:
    """What moving each unit costs of what the policy limits: moves if those are limited, else GiB."""
    if problem.policy.max_moves is not None and problem.policy.max_moved_gib is None:
        return np.array([len(members) for members in problem.units], dtype=float)
    return problem.copy_cost


def within_budget(problem: Problem, assignment: Ints, units: Ints) -> bool:
    """Whether the policy's limits on moves and bytes allow moving these units too."""
    policy = problem.policy
    if policy.max_moves is None and policy.max_moved_gib is None:
        return True
    moved = assignment != problem.home
    moved[units] = True
    sizes = np.array([len(members) for members in problem.units])
    count, moved_gib = int(sizes[moved].sum()), float(problem.copy_cost[moved].sum())
    return (policy.max_moves is None or count <= policy.max_moves) and (
        policy.max_moved_gib is None or moved_gib <= policy.max_moved_gib
    )
