"""Plans under N+k: nothing is switched off unless the loss of hosts is survived at every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .assembly import assemble, assignment_of, stay_as_is
from .bounds import proven_bound, standby_bound
from .cost import cost_of
from .failures import Restarts, restarts_in_the_end, restarts_on_the_way
from .model import Plan
from .problem import Ints, Problem
from .righting import put_right

Choices = Callable[[Problem], list[Ints]]


def surviving_plan(problem: Problem, choices: Choices) -> Plan:
    """The best plan after which the policy's losses are survived, and on the way to it.

    Where the room left on busy hosts is not enough for it, hosts are kept empty to take over: as many as the bound asks
    for beyond those with work; if that is not it fewer, then twice as many until it is enough, then fewer by bisection.
    """
    least, most = standby_bound(problem), int(problem.is_on.sum())
    best, refusal = _survivor(problem, choices, least)
    for fewer in range(least) if best is None else ():
        best = best or _survivor(problem, choices, fewer)[0]
    fails = more = least
    while best is None and more < most:
        fails, more = more, max(1, more * 2)
        best, _ = _survivor(problem, choices, more)
    while best is not None and more - fails > 1:
        middle = (fails + more) // 2
        found, _ = _survivor(problem, choices, middle)
        best, fails, more = (best, middle, more) if found is None else (found, fails, middle)
    if best is not None:
        return replace(best, lower_bound=proven_bound(problem))
    cured = put_right(problem, problem.home)
    return _as_it_stands(
        problem, stay_as_is(problem, (f"No host is switched off: {refusal}",) if refusal else (), cured)
    )


def _as_it_stands(problem: Problem, stay: Plan) -> Plan:
    """A plan that switches nothing off, with its proof of restarts, or a warning where there is none."""
    end = restarts_in_the_end(problem, assignment_of(problem, stay.placement_after), problem.is_on)
    if isinstance(end, str):
        sentence = f"What the policy wants to be survived is not, with all hosts on: {_lowered(end)}"
        return replace(stay, warnings=(*stay.warnings, sentence))
    return replace(
        stay,
        restart_on=end.alone,
        restart_after=tuple(end.together),
        warnings=stay.warnings + end.untried,
    )


def _lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _survivor(problem: Problem, choices: Choices, more: int) -> tuple[Plan | None, str]:
    """The cheapest plan with so many more hosts in reserve that survives, or None and why the first does not."""
    policy = problem.policy
    roomy = replace(problem, policy=replace(policy, spare_hosts=policy.spare_hosts + more))
    refusal = ""
    for assignment in sorted(choices(roomy), key=lambda assignment: cost_of(roomy, assignment)):
        result = assemble(roomy, assignment, "consolidate")
        if not result.hosts_to_power_off:
            continue
        reached = assignment_of(problem, result.placement_after)
        stays = np.array([host.id not in result.hosts_to_power_off and host.is_on for host in problem.hosts])
        end = restarts_in_the_end(problem, reached, stays)
        way = end if isinstance(end, str) else restarts_on_the_way(problem, reached, result.moves)
        if not isinstance(end, str) and not isinstance(way, str):
            return _proved(result, end, way), ""
        refusal = refusal or str(way)
    return None, refusal


def _proved(result: Plan, end: Restarts, way: Restarts) -> Plan:
    noted = tuple(
        f"The loss of {' and '.join(names)} could not be made good now, nor before all moves are done."
        for names in way.unsurvived
    )
    return replace(
        result,
        restart_on=end.alone,
        restart_after=tuple(end.together),
        restart_on_way=way.alone,
        restart_after_on_way=tuple(way.together),
        unsurvived_on_way=tuple(way.unsurvived),
        power_off_last=True,
        warnings=result.warnings + end.untried + noted,
    )
