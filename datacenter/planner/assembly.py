"""An assignment made into a Plan: ordered moves, freed hosts, reasons, bound and watts."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from .bounds import proven_bound
from .cost import cost_of, hosts_staying_on
from .explanation import at_time, kept_hosts, unmoved
from .mending import broken_rules, broken_sentences
from .model import KeptHost, Move, Plan
from .ordering import order_moves
from .power import placement_watts
from .problem import Flags, Ints, Problem


def assemble(
    problem: Problem,
    goal: Ints,
    aim: Literal["consolidate", "evacuate", "balance", "relieve"],
    refusals: tuple[str, ...] = (),
    dark: Flags | None = None,
) -> Plan:
    """The plan that brings the data center to `goal`, or as near as a safe order of moves gets.

    Hosts in `dark` are switched off at its end where they are empty then; a consolidation chooses by itself.
    """
    ordered = order_moves(problem, goal)
    if aim == "consolidate" and ordered.stuck:
        goal = _without_useless(problem, ordered.reached)
        if cost_of(problem, goal) >= cost_of(problem, problem.home):
            goal = problem.home
        ordered = order_moves(problem, goal)
    reached = ordered.reached
    stuck = tuple(
        f"{problem.unit_label(unit)} cannot reach {problem.hosts[goal[unit]].label} safely; it stays."
        for unit in ordered.stuck
    )
    on_before = problem.is_on
    stays = hosts_staying_on(problem, reached) if aim == "consolidate" else on_before
    if dark is not None:
        empty = np.bincount(reached[reached >= 0], minlength=len(problem.hosts)) == 0
        able = np.array([host.can_power_off for host in problem.hosts], dtype=bool)
        stays = on_before & ~(dark & empty & able)
    before = {workload.id: workload.host for workload in problem.workloads}
    after = before | {move.workload: move.target for move in ordered.moves}
    names = [host.id for host in problem.hosts]
    watts_before, watts_after = _watts(problem, before, on_before), _watts(problem, after, stays)
    return Plan(
        goal=aim,
        moves=ordered.moves,
        hosts_to_power_off=tuple(names[host] for host in np.flatnonzero(on_before & ~stays)),
        hosts_kept=kept_hosts(problem, reached, stays) if aim == "consolidate" else (),
        workloads_unmoved=unmoved(problem, reached),
        placement_before=before,
        placement_after=after,
        hosts_on_before=int(on_before.sum()),
        hosts_on_after=int(stays.sum()),
        watts_before=watts_before,
        watts_after=watts_after,
        lower_bound=proven_bound(problem),
        refusals=refusals + stuck,
        warnings=_overloaded(problem) + broken_sentences(problem),
        break_even_hours=_break_even_hours(problem, ordered.moves, watts_before - watts_after),
    )


def assignment_of(problem: Problem, placement: dict[str, str]) -> Ints:
    """Unit -> host under a placement (workload id -> host id)."""
    rows = {host.id: row for row, host in enumerate(problem.hosts)}
    first = (problem.workloads[members[0]].id for members in problem.units)
    return np.array([rows.get(placement[name], -1) for name in first], dtype=np.int64)


def stay_as_is(problem: Problem, refusals: tuple[str, ...], goal: Ints | None = None) -> Plan:
    """The plan that switches nothing off, and moves nothing but to `goal`, where that cures what is wrong."""
    kept = tuple(
        KeptHost(host.id, f"{host.label} stays on: {refusals[0] if refusals else 'nothing can be freed.'}")
        for host in problem.hosts
        if host.is_on
    )
    same = assemble(problem, problem.home if goal is None else goal, "evacuate", refusals)
    return replace(same, goal="consolidate", hosts_kept=kept)


def _without_useless(problem: Problem, reached: Ints) -> Ints:
    """The reached assignment without moves off hosts that were not emptied after all, where that fits."""
    left = reached == problem.home
    busy = np.zeros(len(problem.hosts), dtype=bool)
    busy[reached[left & (reached >= 0)]] = True
    useless = ~left & (problem.home >= 0) & busy[problem.home]
    goal = np.where(useless, problem.home, reached)
    free = problem.free_under(goal)
    over = (free < np.minimum(0.0, problem.free_under(problem.home))).any(axis=1) & ~problem.holds(free.T >= 0)
    unmended = len(broken_rules(problem, goal)) > len(broken_rules(problem, reached))
    return reached if over.any() or unmended else goal


def _overloaded(problem: Problem) -> tuple[str, ...]:
    """Hosts over the policy's limits already now: nothing is moved to them."""
    free = problem.free_under(problem.home)
    sentences = []
    for host in np.flatnonzero(~problem.holds(free.T >= 0)):
        column = int((free[host] / problem.limits[host]).argmin())
        dimension, label = problem.dimensions[column], problem.hosts[host].label
        limit = problem.limits[host, column]
        sentences.append(
            f"{label} is over the policy's limit now: {limit - free[host, column]:,.1f} {dimension.unit} of "
            f"{dimension.label} where {limit:,.1f} are allowed{at_time(dimension)}."
        )
    return tuple(sentences)


def _break_even_hours(problem: Problem, moves: tuple[Move, ...], saved_watts: float) -> float | None:
    """After how long the plan has saved what its moves cost; None when it saves nothing."""
    cost_wh = sum(move.seconds for move in moves) / 3600 * problem.policy.move_watts
    return round(cost_wh / saved_watts, 6) if saved_watts > 0 else None


def _watts(problem: Problem, placement: dict[str, str], on: np.ndarray) -> float:
    names = [problem.hosts[host].id for host in np.flatnonzero(on)]
    return round(placement_watts(problem.data_center, problem.policy, placement, names), 3)
