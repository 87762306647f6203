"""Can everything be placed under the policy and the rules at all? If not, the least that contradicts itself.

Cheap proofs come first; a small data center is then decided exactly, and its contradiction reduced until nothing in
it can be left out. "Infeasible" is always a proof: numbers are rounded in favour of fitting, and limits of recorded
steps, which may be passed now and then, are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ortools.sat.python import cp_model

from .compatibility import why_incompatible
from .explanation import NAMED, at_time, why_nowhere
from .grouping import all_rules, domain_of
from .mending import broken_rules
from .model import DataCenter, Policy, Rule
from .packing import Packing
from .problem import Flags, Ints, Problem, problem_of
from .relief import overload
from .validation import check_input

LARGEST_EXACT = 20_000  # units x hosts
DETERMINISTIC_TIME = 10.0  # the solver's own clock, so that the same input gives the same answer
ROUNDING = 1_000_000  # parts of a limit


@dataclass(frozen=True, slots=True)
class Feasibility:
    """The verdict; where it is infeasible, the workloads (ids) and rules that contradict each other, in a sentence."""

    verdict: Literal["feasible", "infeasible", "unknown"]
    sentence: str
    workloads: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


def feasibility(data_center: DataCenter, policy: Policy) -> Feasibility:
    """Whether some placement of all workloads keeps all limits and rules, whatever it would take to get there.

    Workloads that may not move stay where they are. "unknown" only where the data center is too large to decide.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    where = _where(problem)
    units, rules = list(range(len(problem.units))), list(all_rules(data_center))
    proof = next(_cheap_proofs(problem, where), None)
    if proof is None and _is_packed(problem, rules):
        return Feasibility("feasible", "Everything can be placed.")
    if len(units) * len(problem.hosts) > LARGEST_EXACT:
        if proof is None:
            return Feasibility("unknown", "No placement was found, and the data center is too large to rule one out.")
        return _infeasible(problem, where, proof, [])
    if proof is None:
        fits = _fits(problem, where, units, rules)
        if fits is not False:
            sentence = "Everything can be placed." if fits else "No answer was found in the time allowed."
            return Feasibility("feasible" if fits else "unknown", sentence)
    core, kept = _reduced(problem, where, units if proof is None else proof, rules if proof is None else [])
    return _infeasible(problem, where, core, kept)


def _where(problem: Problem) -> Flags:
    """Units x hosts: where each may be. What may not move may be at home only; so may what is on a closed host."""
    table = np.zeros((len(problem.units), len(problem.hosts)), dtype=bool)
    for unit, members in enumerate(problem.units):
        if not problem.fixed[unit]:
            items = [problem.workloads[index] for index in members]
            for row, host in enumerate(problem.hosts):
                table[unit, row] = problem.is_open[row] and all(why_incompatible(w, host) is None for w in items)
        if problem.home[unit] >= 0:
            table[unit, problem.home[unit]] = True
    return table


def _cheap_proofs(problem: Problem, where: Flags) -> Iterator[list[int]]:
    """Units that cannot be placed together: one that fits nowhere, too many on one host, too many for all."""
    strict = problem.is_strict
    for unit in range(len(problem.units)):
        hosts = np.flatnonzero(where[unit])
        if not (problem.need[unit][strict] <= problem.limits[hosts][:, strict]).all(axis=1).any():
            yield [unit]
    for column in np.flatnonzero(strict).tolist():
        order = np.argsort(-problem.need[:, column], kind="stable")
        bound = [int(unit) for unit in order if where[unit].sum() == 1]
        for host in range(len(problem.hosts)):
            yield from _too_much(problem, [unit for unit in bound if where[unit, host]], column, [host])
        yield from _too_much(problem, order.tolist(), column, np.flatnonzero(where.any(axis=0)).tolist())


def _is_packed(problem: Problem, rules: Sequence[Rule]) -> bool:
    """Whether packing everything anew, largest first, happens to work: it does, mostly, and costs next to nothing."""
    if any(rule.kind == "together" for rule in rules):
        return False  # where they gather is decided from where they are
    start = np.where(problem.fixed, problem.home, -1)
    packing = Packing(problem, start, np.flatnonzero(problem.is_open))
    for unit in np.lexsort((np.arange(len(start)), -packing.weight)):
        if not problem.fixed[unit]:
            host = packing.best_fit(int(unit))
            if host < 0:
                return False
            packing.move(int(unit), host)
    overfull = overload(problem, packing.assignment).any()
    return not overfull and not broken_rules(problem, packing.assignment)


def _too_much(problem: Problem, units: list[int], column: int, hosts: list[int]) -> Iterator[list[int]]:
    """The fewest of these units, largest first, that need more than the hosts give."""
    needed = np.cumsum(problem.need[units, column])
    over = np.flatnonzero(needed > problem.limits[hosts, column].sum() * (1 + 1e-9))
    if len(over):
        yield units[: int(over[0]) + 1]


def _reduced(
    problem: Problem, where: Flags, units: Sequence[int], rules: Sequence[Rule]
) -> tuple[list[int], list[Rule]]:
    """What is left when everything is left out without which the rest is still infeasible."""
    core, kept = list(units), list(rules)
    for rule in rules:
        fewer = [other for other in kept if other is not rule]
        kept = fewer if _fits(problem, where, core, fewer) is False else kept
    for unit in units:
        smaller = [other for other in core if other != unit]
        core = smaller if _fits(problem, where, smaller, kept) is False else core
    return core, kept


def _fits(problem: Problem, where: Flags, units: Sequence[int], rules: Sequence[Rule]) -> bool | None:
    """Whether these units can be placed under these rules; None when the solver ran out of time."""
    model = cp_model.CpModel()
    at = {(unit, int(host)): model.new_bool_var("") for unit in units for host in np.flatnonzero(where[unit])}
    for unit in units:
        model.add_exactly_one(at[unit, int(host)] for host in np.flatnonzero(where[unit]))
    parts = problem.need[:, None, :] / np.maximum(problem.limits, 1e-12)[None]
    for host in range(len(problem.hosts)):
        here = [unit for unit in units if (unit, host) in at]
        for column in np.flatnonzero(problem.is_strict):
            shares = {unit: int(np.floor(min(parts[unit, host, column], 2.0) * ROUNDING)) for unit in here}
            if sum(shares.values()) > ROUNDING:
                used = cp_model.LinearExpr.weighted_sum([at[unit, host] for unit in shares], list(shares.values()))
                model.add(used <= ROUNDING)
    for rule in rules:
        _add_rule(model, problem, rule, at)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = DETERMINISTIC_TIME
    status = solver.solve(model)
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return True
    return False if status == cp_model.INFEASIBLE else None


def _add_rule(
    model: cp_model.CpModel, problem: Problem, rule: Rule, at: dict[tuple[int, int], cp_model.IntVar]
) -> None:
    position = {workload.id: index for index, workload in enumerate(problem.workloads)}
    units = [int(problem.unit_of[position[name]]) for name in dict.fromkeys(rule.workloads)]
    present = [unit for unit in units if any(key[0] == unit for key in at)]
    places: dict[str, list[cp_model.IntVar]] = defaultdict(list)
    for unit in present:  # two workloads of one unit stand there twice, as they should
        for (other, host), chosen in at.items():
            if other == unit:
                places[domain_of(problem.hosts[host], rule.scope)].append(chosen)
    counts = {domain: cp_model.LinearExpr.sum(inside) for domain, inside in places.items()}
    if rule.kind == "apart":
        for count in counts.values():
            model.add(count <= 1)
        return
    used = {domain: model.new_bool_var("") for domain in places}
    for domain, count in counts.items():
        model.add(count >= used[domain] if rule.kind == "spread" else count <= len(present) * used[domain])
    if rule.kind == "spread":
        model.add(cp_model.LinearExpr.sum(list(used.values())) >= min(rule.at_least, len(present)))
    elif used:
        model.add(cp_model.LinearExpr.sum(list(used.values())) <= 1)


def _infeasible(problem: Problem, where: Flags, units: list[int], rules: list[Rule]) -> Feasibility:
    names = [problem.unit_label(unit) for unit in units]
    ids = tuple(problem.workloads[index].id for unit in units for index in problem.units[unit])
    listed = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    if len(units) == 1 and not rules:
        sentence = _nowhere(problem, where, units[0])
    else:
        under = f" under rule {', '.join(rule.name for rule in rules)}" if rules else ""
        sentence = f"{listed} cannot all be placed{under}: {_binding(problem, where, units)}"
    return Feasibility("infeasible", f"{sentence}.", ids, tuple(rule.name for rule in rules))


def _nowhere(problem: Problem, where: Flags, unit: int) -> str:
    home = int(problem.home[unit])
    if problem.fixed[unit] and home >= 0:
        over = int((problem.need[unit] / np.maximum(problem.limits[home], 1e-12)).argmax())
        label = problem.dimensions[over].label
        return f"{problem.why_fixed(unit)}, and needs more {label} than the policy allows there"
    empty = np.full(len(problem.units), -1, dtype=np.int64)
    return why_nowhere(problem, Packing(problem, empty, np.flatnonzero(problem.is_open)), unit)


def _binding(problem: Problem, where: Flags, units: list[int]) -> str:
    """The dimension that is most asked for of the hosts that may take them."""
    hosts: Ints = np.flatnonzero(where[units].any(axis=0))
    needed, given = problem.need[units].sum(axis=0), problem.limits[hosts].sum(axis=0)
    shares = np.where(problem.is_strict, needed / np.maximum(given, 1e-12), 0.0)
    count = f"the {len(hosts)} hosts that may take them" if len(hosts) != 1 else problem.hosts[hosts[0]].label
    if not len(shares):
        return f"only {count} may be used"
    column = int(shares.argmax())
    dimension = problem.dimensions[column]
    return (
        f"they need {needed[column]:,.0f} {dimension.unit} of {dimension.label}{at_time(dimension)}, and {count} "
        f"{'give' if len(hosts) != 1 else 'gives'} {given[column]:,.0f}"
    )
