"""Sentences: why a host stays on, why a workload stays where it is, why a host cannot take one."""

from __future__ import annotations

import numpy as np

from .compatibility import why_closed, why_incompatible
from .demand import Dimension
from .gathering import why_astray
from .model import KeptHost, Unmoved
from .packing import Packing
from .problem import Flags, Ints, Problem
from .windows import DAYS, why_closed_now

NAMED = 3  # workloads named in a sentence before "and n more"


def kept_hosts(problem: Problem, assignment: Ints, stays: Flags) -> tuple[KeptHost, ...]:
    """Every host that is left on, with its reason."""
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open & stays))
    on_host: list[list[int]] = [[] for _ in problem.hosts]
    for unit, host in enumerate(assignment):
        if host >= 0:
            on_host[int(host)].append(unit)
    return tuple(_kept(problem, packing, int(host), on_host[host]) for host in np.flatnonzero(stays))


def _kept(problem: Problem, packing: Packing, host: int, units: list[int]) -> KeptHost:
    label, name = problem.hosts[host].label, problem.hosts[host].id
    if not problem.hosts[host].can_power_off:
        reason = problem.hosts[host].power_off_reason or "there is no way to switch it off and on again"
        return KeptHost(name, f"{label} stays on: {_clause(reason)}.")
    if not units:
        return KeptHost(name, f"{label} stays on, empty, as the policy's warm reserve.")
    fixed = [unit for unit in units if problem.fixed[unit]]
    if fixed:
        reasons = "; ".join(_clause(problem.why_fixed(unit) or "") for unit in fixed[:NAMED])
        return KeptHost(name, f"{label} cannot be freed: {reasons}{_more(fixed)}.", _ids(problem, fixed))
    was_closed = packing.row_of[host] >= 0 and packing.is_closed[packing.row_of[host]]
    packing.close(host)
    alone = [unit for unit in units if not packing.candidates(unit).any()]
    alone = [unit for unit in alone if problem.home[unit] == host] or alone  # those that people know there
    if alone:
        sentence, rules = _alone_sentence(problem, packing, host, alone)
        result = KeptHost(name, f"{label} cannot be freed: {sentence}.", _ids(problem, alone), rules)
    else:
        result = KeptHost(name, _together_sentence(problem, packing, host, units), _ids(problem, units))
    if not was_closed:
        packing.reopen(host)
    return result


def _alone_sentence(problem: Problem, packing: Packing, host: int, alone: list[int]) -> tuple[str, tuple[str, ...]]:
    """For workloads that no other host that stays on can take, even one by one."""
    sentences: list[str] = []
    rules: list[str] = []
    others = [int(other) for other in packing.receivers if other != host]
    for unit in alone[:NAMED]:
        label = problem.unit_label(unit)
        broken = _rules_in_the_way(problem, packing, unit)
        rules += broken
        if len(others) == 1:
            sentences.append(f"{label}: {why_not_on(problem, packing, unit, others[0])}")
        elif broken:
            sentences.append(f"{label} must be apart from others by rule {', '.join(broken)}, and no host is left")
        else:
            sentences.append(_largest_gap(problem, packing, unit, host))
    return "; ".join(sentences) + _more(alone), tuple(dict.fromkeys(rules))


def _largest_gap(problem: Problem, packing: Packing, unit: int, host: int) -> str:
    """How far the unit is from fitting on the host where it is closest to fitting."""
    label = problem.unit_label(unit)
    rows = np.flatnonzero(packing.allowed[problem.group[unit]] & (packing.receivers != host))
    if not len(rows):
        return f"no other host that stays on may run {label}"
    lack = problem.need[unit][:, None] - packing.free[:, rows]
    shares = (lack / np.maximum(problem.limits[packing.receivers[rows]].T, 1e-12)).max(axis=0)
    best = int(shares.argmin())
    column = int((lack[:, best] / np.maximum(problem.limits[packing.receivers[rows[best]]], 1e-12)).argmax())
    dimension, target = problem.dimensions[column], problem.hosts[packing.receivers[rows[best]]]
    return (
        f"{label} needs {_amount(problem.need[unit][column], dimension.unit)} of {dimension.label}"
        f"{at_time(dimension)}, and the "
        f"best other host, {target.label}, has {_amount(packing.free[column, rows[best]], dimension.unit)} free"
    )


def _together_sentence(problem: Problem, packing: Packing, host: int, units: list[int]) -> str:
    """For workloads that fit elsewhere one by one, but not all at once."""
    label = problem.hosts[host].label
    rows = packing.receivers != host
    total = problem.need[units].sum(axis=0)
    left = np.maximum(packing.free[:, rows], 0.0).sum(axis=1)
    shares = total / np.maximum(left, 1e-12)
    column = int(shares.argmax())
    dimension = problem.dimensions[column]
    amounts = (
        f"they need {_amount(total[column], dimension.unit)} of {dimension.label}, and the other "
        f"hosts that stay on have {_amount(left[column], dimension.unit)} free"
    )
    count = f"its {len(units)} workloads" if len(units) > 1 else f"its workload {problem.unit_label(units[0])}"
    if shares[column] > 1:
        return f"{label} cannot be freed: {count} find no room elsewhere together: {amounts}."
    if problem.policy.max_moves is not None or problem.policy.max_moved_gib is not None:
        return f"{label} stays on: freeing it would exceed the policy's limit on moves."
    return f"{label} stays on: {count} would fit elsewhere one by one, but no way was found for all; {amounts}."


def unmoved(problem: Problem, assignment: Ints) -> tuple[Unmoved, ...]:
    """One sentence for every workload that stays."""
    result = []
    for unit in np.flatnonzero(assignment == problem.home):
        reason = problem.why_fixed(int(unit))
        host = int(assignment[unit])
        for index in problem.units[unit]:
            workload = problem.workloads[index]
            if reason:
                sentence = f"{workload.label} stays: {_clause(reason)}."
            elif host < 0:
                sentence = f"{workload.label} is not placed on any host."
            else:
                sentence = f"{workload.label} stays on {problem.hosts[host].label}, which stays on."
            result.append(Unmoved(workload.id, sentence))
    return tuple(result)


def why_not_on(problem: Problem, packing: Packing, unit: int, host: int) -> str | None:
    """Why that host cannot take the unit now, as a clause; None when it can."""
    target = problem.hosts[host]
    closed = why_closed(target) or why_closed_now(target, problem.policy)
    if closed:
        return _clause(closed)
    for index in problem.units[unit]:
        reason = why_incompatible(problem.workloads[index], target)
        if reason := reason or why_astray(problem.gatherings.get(problem.workloads[index].id, ()), target):
            return reason
    row = int(packing.row_of[host])
    lack = problem.need[unit] - packing.free[:, row]
    if not problem.holds(lack <= 0):
        column = int((lack / np.maximum(problem.limits[host], 1e-12)).argmax())
        dimension = problem.dimensions[column]
        free = max(0.0, float(packing.free[column, row]))
        return (
            f"needs {_amount(problem.need[unit][column], dimension.unit)} of {dimension.label}{at_time(dimension)}"
            f", and {target.label} has {_amount(free, dimension.unit)} free within the policy"
        )
    for rule in packing.broken_rules(unit, host):
        mates = _mates_near(problem, packing, unit, rule, host)
        return f"rule {problem.rule_values[rule].name} keeps it apart from {mates} on {target.label}"
    return None


def why_nowhere(problem: Problem, packing: Packing, unit: int) -> str:
    """Why no host can take the unit, as a clause with what each of them says."""
    label = problem.unit_label(unit)
    reasons = [why_not_on(problem, packing, unit, int(host)) for host in packing.receivers]
    if not reasons:
        return f"{label} has nowhere to go: no other host is on and takes new work"
    return f"{label} has nowhere to go: " + "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _mates_near(problem: Problem, packing: Packing, unit: int, rule: int, host: int) -> str:
    rules = problem.rules
    domain = rules.domain[rules.scope[rule]]
    members = rules.members[rules.member_start[rule] : rules.member_start[rule + 1]]
    near = [
        problem.unit_label(int(mate))
        for mate in members
        if mate != unit and packing.assignment[mate] >= 0 and domain[packing.assignment[mate]] == domain[host]
    ]
    return ", ".join(near[:NAMED]) or "others"


def _rules_in_the_way(problem: Problem, packing: Packing, unit: int) -> list[str]:
    """Rules without which some host could take the unit."""
    names: list[str] = []
    if problem.rules.of_unit_start[unit] == problem.rules.of_unit_start[unit + 1]:
        return names
    for host in packing.receivers:
        row = packing.row_of[host]
        if host == packing.assignment[unit] or not packing.allowed[problem.group[unit], row]:
            continue
        if problem.holds(packing.free[:, row] >= problem.need[unit]):
            names += [problem.rule_values[rule].name for rule in packing.broken_rules(unit, int(host))]
    return list(dict.fromkeys(names))


def at_time(dimension: Dimension) -> str:
    """When the dimension's limit binds, as the end of a clause; empty where demand is one number."""
    if dimension.hour is None:
        return ""
    when = f" on {DAYS[dimension.hour // 24]} at {dimension.hour % 24:02}:00"
    return when if dimension.step is None else f"{when} (step {dimension.step + 1} of the record)"


def _ids(problem: Problem, units: list[int]) -> tuple[str, ...]:
    return tuple(problem.workloads[index].id for unit in units for index in problem.units[unit])


def _more(units: list[int]) -> str:
    return f", and {len(units) - NAMED} more like this" if len(units) > NAMED else ""


def _clause(sentence: str) -> str:
    return sentence.rstrip(". ")


def _amount(value: float, unit: str) -> str:
    value = max(0.0, float(value))
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.2f}".rstrip("0").rstrip(".") + f" {unit}"
