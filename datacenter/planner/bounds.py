"""Proofs that no plan can do with fewer hosts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .explanation import at_time
from .failures import must_restart
from .model import Bound
from .problem import Flags, Floats, Problem
from .watt_bound import watts_bound


def must_stay_on(problem: Problem) -> Flags:
    """Hosts that no plan may switch off: without power control, or with a workload that cannot leave."""
    stays = np.array([host.is_on and not host.can_power_off for host in problem.hosts], dtype=bool)
    fixed_at = problem.home[problem.fixed & (problem.home >= 0)]
    stays[fixed_at] = True
    return stays & problem.is_on


def proven_bound(problem: Problem) -> Bound:
    """What stands beside a plan: no other leaves fewer hosts on, nor draws fewer watts."""
    return replace(host_bound(problem), watts=watts_bound(problem, must_stay_on(problem), _gives(problem)))


def host_bound(problem: Problem) -> Bound:
    """No plan under this policy leaves fewer hosts on: those with work, the warm reserve, and what N+k asks for."""
    best = working_bound(problem)
    reserve = _reserve_bound(problem, best.hosts)
    if reserve > 0:
        sentence = f"{best.sentence} The warm reserve keeps {reserve} more."
        best = replace(best, hosts=best.hosts + reserve, sentence=sentence)
    return _failures_bound(problem, best)


def standby_bound(problem: Problem) -> int:
    """How many hosts more than without them the failures to survive ask for, at least."""
    careless = replace(problem, policy=replace(problem.policy, survive_failures=0))
    return host_bound(problem).hosts - host_bound(careless).hosts


def working_bound(problem: Problem) -> Bound:
    """The best of: hosts that cannot be freed, the aggregate of each dimension, the largest group apart.

    The aggregate bound is the linear relaxation: even if workloads could be cut into pieces, the largest
    hosts that give enough in that dimension are this many. A host over its limit now counts with what it
    carries, since a plan may leave it as it is.
    """
    forced, on = must_stay_on(problem), problem.is_on
    count = int(forced.sum())
    best = Bound(count, "fixed workloads", f"At least {count} hosts cannot be freed: their workloads are fixed.")
    if not count:
        best = Bound(0, "", "No host is needed: there is nothing to run.")
    placed = (problem.home >= 0) & on[problem.home]
    totals = problem.need[placed].sum(axis=0)
    gives = _gives(problem)
    for column in np.flatnonzero(problem.is_strict):
        dimension = problem.dimensions[column]
        reach = _reach(gives[:, column], forced, on)
        enough = np.flatnonzero(reach >= totals[column] * (1 - 1e-9))
        needed = count + (int(enough[0]) if len(enough) else len(reach) - 1)
        if needed > best.hosts:
            amount = f"{totals[column]:,.0f} {dimension.unit} of {dimension.label}"
            best = Bound(
                needed,
                dimension.resource,
                f"At least {needed} of {int(on.sum())} hosts must stay on: the workloads need {amount}"
                f"{at_time(dimension)}, and {'one host gives' if needed == 2 else f'{needed - 1} hosts give'} "
                f"{reach[needed - 1 - count]:,.0f} under this policy.",
                dimension.hour,
            )
    best = _steps_bound(problem, best, gives, totals, forced)
    return _apart_bound(problem, best)


def _gives(problem: Problem) -> Floats:
    carried = problem.limits - problem.free_under(problem.home)
    return np.maximum(problem.limits, carried)


def _failures_bound(problem: Problem, best: Bound) -> Bound:
    """After the loss of the k largest hosts the others must give enough for all that must restart.

    With it runs what is pinned, less what may be lost with k hosts. It binds only a plan that switches something off:
    otherwise all hosts stay on.
    """
    losses, on = problem.policy.survive_failures, problem.is_on
    wards = [unit for unit in range(len(problem.units)) if must_restart(problem, unit)]
    wards = [unit for unit in wards if problem.home[unit] >= 0 and on[problem.home[unit]]]
    if not losses or not wards:
        return best
    totals, gives = problem.need[wards].sum(axis=0) + _pinned_left(problem, losses), _gives(problem)
    forced, most = must_stay_on(problem), int(on.sum())
    for column in np.flatnonzero(problem.is_strict):
        needed = min(most, max(best.hosts, losses + 1, int(forced.sum())))
        while needed < most and _left_of(gives[:, column], forced, on, needed, losses) < totals[column] * (1 - 1e-9):
            needed += 1
        if needed > best.hosts:
            dimension = problem.dimensions[column]
            sentence = (
                f"At least {needed} of {int(on.sum())} hosts must stay on: when the {losses} largest are lost, "
                f"{totals[column]:,.0f} {dimension.unit} of {dimension.label}{at_time(dimension)} must still fit."
            )
            best = Bound(needed, dimension.resource, sentence, dimension.hour)
    return best


def _left_of(gives: Floats, forced: Flags, on: Flags, hosts: int, losses: int) -> float:
    """The most that so many hosts, the forced ones among them, can give when the largest of them are lost."""
    others = np.sort(gives[on & ~forced])[::-1][: hosts - int(forced.sum())]
    return float(np.sort(np.concatenate([gives[forced], others]))[: hosts - losses].sum())


def _pinned_left(problem: Problem, losses: int) -> Floats:
    """What pinned workloads need at least, wherever so many hosts are lost."""
    load = np.zeros_like(problem.limits)
    for unit, members in enumerate(problem.units):
        if problem.home[unit] >= 0 and any(problem.workloads[index].pinned for index in members):
            load[problem.home[unit]] += problem.need[unit]
    return np.asarray(np.sort(load[problem.is_on], axis=0)[::-1][losses:].sum(axis=0))


def _reach(gives: Floats, forced: Flags, on: Flags) -> Floats:
    """What the forced hosts give with none, one, two, ... of the largest others."""
    return float(gives[forced].sum()) + np.concatenate([[0.0], np.cumsum(np.sort(gives[on & ~forced])[::-1])])


def _steps_bound(problem: Problem, best: Bound, gives: Floats, totals: Floats, forced: Flags) -> Bound:
    """For recorded steps, of which each of n hosts may pass its limit in `steps_over`.

    At most n x steps_over steps have a host over its limit; in all others the n hosts must give enough, and the
    least that can be asked then is that the largest n x steps_over totals are the ones passed.
    """
    count = int(forced.sum())
    for columns in problem.steps:
        reach = _reach(gives[:, columns].max(axis=1), forced, problem.is_on)
        largest = columns[np.argsort(-totals[columns], kind="stable")]
        for more, give in enumerate(reach):
            hosts = count + more
            passed = hosts * problem.steps_over
            if passed >= len(largest) or give >= totals[largest[passed]] * (1 - 1e-9):
                break
            if hosts + 1 > best.hosts and more + 1 < len(reach):
                dimension = problem.dimensions[largest[passed]]
                best = Bound(
                    hosts + 1,
                    dimension.resource,
                    f"At least {hosts + 1} of {int(problem.is_on.sum())} hosts must stay on: {hosts} give {give:,.0f} "
                    f"{dimension.unit} of {dimension.label}, and in {passed + 1} recorded steps more is needed, of "
                    f"which the policy's risk lets them pass {passed}.",
                    dimension.hour,
                )
    return best


def _reserve_bound(problem: Problem, needed: int) -> int:
    """Hosts that the warm reserve adds: less those that stay on anyway, and no more than take work."""
    occupied = np.zeros(len(problem.hosts), dtype=bool)
    occupied[problem.home[problem.fixed & (problem.home >= 0)]] = True
    anyway = sum(not host.can_power_off and not occupied[row] for row, host in enumerate(problem.hosts))
    return min(problem.policy.spare_hosts - anyway, int(problem.may_stand_by.sum()) - needed)


def _apart_bound(problem: Problem, best: Bound) -> Bound:
    rules = problem.rules
    for row, rule in enumerate(problem.rule_values):
        members = rules.members[rules.member_start[row] : rules.member_start[row + 1]]
        homes = problem.home[members]
        domain = rules.domain[rules.scope[row]]
        # what is already broken may stay so
        distinct = len({int(domain[home]) for home in homes if home >= 0 and problem.is_on[home]})
        needed = min(int(rules.least[row]), distinct) if rules.least[row] else distinct
        if needed > best.hosts:
            sentence = f"At least {needed} hosts must stay on: rule {rule.name} keeps its workloads apart."
            best = Bound(needed, f"rule {rule.name}", sentence)
    return best
