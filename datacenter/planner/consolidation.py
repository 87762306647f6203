"""The main question: which hosts can be freed, by which moves, and why not more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .assembly import assemble, assignment_of, stay_as_is
from .bounds import host_bound
from .cost import cost_of, hosts_staying_on
from .draining import drain
from .failures import restart_hosts
from .model import DataCenter, KeptHost, Plan, Policy
from .problem import Ints, Problem, problem_of
from .relief import relieved
from .repacking import repack
from .validation import check_input

LARGE = 2_000  # units from which an answer within 0.2 % of the bound ends the search


def plan(data_center: DataCenter, policy: Policy) -> Plan:
    """The plan with the fewest hosts on that was found, and its proven lower bound.

    A plan without moves says, host by host, why nothing can be freed. The same input gives the same plan.
    Raises Invalid with a sentence for input that no plan can be made of.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    if not policy.survive_failures:
        return assemble(problem, best_assignment(problem), "consolidate")
    return _surviving_plan(problem)


def best_assignment(problem: Problem) -> Ints:
    """The best of packing onto chosen survivors, of draining host by host, and of leaving all as it is."""
    return min(_choices(problem), key=lambda assignment: cost_of(problem, assignment))


def _choices(problem: Problem) -> list[Ints]:
    """The assignments worth comparing, each with its overloaded hosts relieved."""
    found = _searched(problem)
    return [problem.home] + [
        relieved(problem, assignment, hosts_staying_on(problem, assignment)) for assignment in found
    ]


def _searched(problem: Problem) -> list[Ints]:
    packed = repack(problem, int(problem.is_on.sum()))
    if packed is not None and _is_near_least(problem, packed):
        return [packed]
    return [problem.home, drain(problem)] + ([packed] if packed is not None else [])


def _is_near_least(problem: Problem, assignment: Ints) -> bool:
    """Whether a large answer is so near its bound that no other search is worth its time."""
    on = int(hosts_staying_on(problem, assignment).sum())
    is_large = len(problem.units) > LARGE
    return is_large and problem.policy.objective == "hosts" and on <= 1.002 * host_bound(problem).hosts


def _surviving_plan(problem: Problem) -> Plan:
    """The best plan after which the loss of any k hosts can be survived; nothing is switched off without it."""
    refusal = ""
    for assignment in sorted(_choices(problem), key=lambda assignment: cost_of(problem, assignment)):
        result = assemble(problem, assignment, "consolidate")
        if not result.hosts_to_power_off:
            continue
        reached = assignment_of(problem, result.placement_after)
        stays = np.array([host.id not in result.hosts_to_power_off and host.is_on for host in problem.hosts])
        where = restart_hosts(problem, reached, stays, problem.policy.survive_failures)
        if isinstance(where, dict):
            return replace(result, restart_on=where)
        refusal = refusal or where
    return stay_as_is(problem, (f"No host is switched off: {refusal}",) if refusal else ())


def why_not_freed(data_center: DataCenter, policy: Policy, host_id: str) -> KeptHost | None:
    """What keeps that host on in the best plan; None when that plan frees it, or it is off already."""
    kept = {host.host: host for host in plan(data_center, policy).hosts_kept}
    return kept.get(host_id)
