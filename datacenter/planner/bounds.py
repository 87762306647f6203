"""Proofs that no plan can do with fewer hosts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .model import Bound
from .problem import Flags, Problem


def must_stay_on(problem: Problem) -> Flags:
    """Hosts that no plan may switch off: without power control, or with a workload that cannot leave."""
    stays = np.array([host.is_on and not host.can_power_off for host in problem.hosts], dtype=bool)
    fixed_at = problem.home[problem.fixed & (problem.home >= 0)]
    stays[fixed_at] = True
    return stays & problem.is_on


def host_bound(problem: Problem) -> Bound:
    """The best of: hosts that cannot be freed, the aggregate of each dimension, the largest group apart.

    The aggregate bound is the linear relaxation: even if workloads could be cut into pieces, the largest
    hosts that give enough in that dimension are this many. A host over its limit now counts with what it
    carries, since a plan may leave it as it is. The policy's warm reserve comes on top.
    """
    forced, on = must_stay_on(problem), problem.is_on
    count = int(forced.sum())
    best = Bound(count, "fixed workloads", f"At least {count} hosts cannot be freed: their workloads are fixed.")
    if not count:
        best = Bound(0, "", "No host is needed: there is nothing to run.")
    placed = (problem.home >= 0) & on[problem.home]
    totals = problem.need[placed].sum(axis=0)
    carried = problem.limits - problem.free_under(problem.home)
    gives = np.maximum(problem.limits, carried)
    for column, dimension in enumerate(problem.dimensions):
        base = float(gives[forced, column].sum())
        others = np.sort(gives[on & ~forced, column])[::-1]
        reach = base + np.concatenate([[0.0], np.cumsum(others)])
        enough = np.flatnonzero(reach >= totals[column] * (1 - 1e-9))
        needed = count + (int(enough[0]) if len(enough) else len(others))
        if needed > best.hosts:
            amount = f"{totals[column]:,.0f} {dimension.unit} of {dimension.label}"
            hour = f" in hour {dimension.hour} of the week" if dimension.hour is not None else ""
            best = Bound(
                needed,
                dimension.resource,
                f"At least {needed} of {int(on.sum())} hosts must stay on: the workloads need {amount}"
                f"{hour}, and {needed - 1} hosts give {reach[needed - 1 - count]:,.0f} under this policy.",
            )
    best = _apart_bound(problem, best)
    reserve = _reserve_bound(problem, best.hosts)
    if reserve > 0:
        sentence = f"{best.sentence} The warm reserve keeps {reserve} more."
        best = replace(best, hosts=best.hosts + reserve, sentence=sentence)
    return best


def _reserve_bound(problem: Problem, needed: int) -> int:
    """Hosts that the warm reserve adds: less those that stay on anyway, and no more than take work."""
    occupied = np.zeros(len(problem.hosts), dtype=bool)
    occupied[problem.home[problem.fixed & (problem.home >= 0)]] = True
    anyway = sum(not host.can_power_off and not occupied[row] for row, host in enumerate(problem.hosts))
    wanted = max(problem.policy.spare_hosts, problem.policy.survive_failures)
    return min(wanted - anyway, int(problem.is_open.sum()) - needed)


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
