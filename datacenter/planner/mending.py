"""Rules that are broken already: the cheapest workloads move until they hold, where that is possible."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from .budget import within_budget
from .packing import Packing
from .problem import Flags, Ints, Problem


def broken_rules(problem: Problem, assignment: Ints) -> list[int]:
    """Rules (as rows) that the assignment breaks, each as often as it lacks a place."""
    rows: list[int] = []
    for rule in range(len(problem.rule_values)):
        rows += [rule] * _lacking(problem, assignment, rule)
    return rows


def mended(problem: Problem, assignment: Ints, stays: Flags) -> Ints:
    """The assignment with workloads of broken rules moved apart, to hosts that stay on first, then to any."""
    broken = list(dict.fromkeys(broken_rules(problem, assignment)))
    if not broken:
        return assignment
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open))
    for rule in broken:
        for unit in _movable(problem, packing.assignment, rule):
            if not _lacking(problem, packing.assignment, rule):
                break
            _move_apart(problem, packing, rule, unit, stays)
    return packing.assignment


def broken_sentences(problem: Problem) -> tuple[str, ...]:
    """One sentence for each rule that is broken before any move."""
    sentences = []
    for rule in dict.fromkeys(broken_rules(problem, problem.home)):
        value = problem.rule_values[rule]
        crowd = max(_by_domain(problem, problem.home, rule).values(), key=len)
        names = ", ".join(problem.unit_label(unit) for unit in crowd)
        sentences.append(f"Rule {value.name} is broken now: {names} are in one {value.scope}.")
    return tuple(sentences)


def _lacking(problem: Problem, assignment: Ints, rule: int) -> int:
    """How many places the rule's workloads are short of."""
    value, held = problem.rule_values[rule], _by_domain(problem, assignment, rule)
    placed = sum(len(units) for units in held.values())
    wanted = placed if value.kind == "apart" else min(value.at_least, placed)
    return max(0, wanted - len(held))


def _by_domain(problem: Problem, assignment: Ints, rule: int) -> dict[int, list[int]]:
    rules = problem.rules
    domain = rules.domain[rules.scope[rule]]
    held: dict[int, list[int]] = defaultdict(list)
    for unit in rules.members[rules.member_start[rule] : rules.member_start[rule + 1]]:
        if assignment[unit] >= 0:
            held[int(domain[assignment[unit]])].append(int(unit))
    return held


def _movable(problem: Problem, assignment: Ints, rule: int) -> list[int]:
    """Units that share a place with another of the rule, the cheapest to move first."""
    crowds = (units for units in _by_domain(problem, assignment, rule).values() if len(units) > 1)
    units = [unit for crowd in crowds for unit in crowd if not problem.fixed[unit]]
    return sorted(units, key=lambda unit: (problem.copy_cost[unit], unit))


def _move_apart(problem: Problem, packing: Packing, rule: int, unit: int, stays: Flags) -> None:
    """Moves the unit to a place where none of the rule is, unless it is alone in its own already."""
    held = _by_domain(problem, packing.assignment, rule)
    domain = problem.rules.domain[problem.rules.scope[rule]]
    if len(held[int(domain[packing.assignment[unit]])]) < 2:
        return
    if not within_budget(problem, packing.assignment, np.array([unit])):
        return
    new = ~np.isin(domain[packing.receivers], list(held))
    target = packing.best_fit(unit, new & stays[packing.receivers])
    if target < 0:
        target = packing.best_fit(unit, new)
    if target >= 0:
        packing.move(unit, target)
