"""The main question: which hosts can be freed, by which moves, and why not more."""

from __future__ import annotations

from functools import partial

from hosts.errors import Invalid

from .assembly import assemble, stay_as_is
from .bounds import host_bound
from .cost import cost_of, hosts_staying_on
from .draining import drain
from .licensing import gathered_by_licence
from .model import DataCenter, KeptHost, Plan, Policy
from .problem import Ints, Problem, problem_of
from .repacking import frugality, repack
from .righting import put_right
from .surviving import surviving_plan
from .validation import check_input
from .watching import Watch
from .worth import worth_while

LARGE = 2_000  # units from which an answer within 0.2 % of the bound ends the search


def plan(data_center: DataCenter, policy: Policy, watch: Watch | None = None) -> Plan:
    """The plan with the fewest hosts on that was found, and its proven lower bound.

    A plan without moves says, host by host, why nothing can be freed. The same input gives the same plan, unless
    `watch` ends the search early. Raises Invalid with a sentence for input that no plan can be made of.
    """
    watch = watch or Watch()
    check_input(data_center, policy)
    carriers = {host.id: host.label for host in data_center.hosts if host.inside}
    if loose := [carriers[item.id] for item in data_center.workloads if item.id in carriers and item.movable]:
        raise Invalid(f"{loose[0]} is a VM and a host of containers at once; ask unpack_and_plan, which knows of both.")
    problem = problem_of(data_center, policy)
    return worth_while(
        _plan_of(problem, watch),
        policy,
        again=lambda smaller: _plan_of(problem_of(data_center, smaller), watch),
        stay=lambda refusal: stay_as_is(problem, (refusal,)),
    )


def _plan_of(problem: Problem, watch: Watch) -> Plan:
    if problem.policy.survive_failures or problem.policy.survive_rack:
        return surviving_plan(problem, partial(choices, watch=watch))
    return assemble(problem, best_assignment(problem, watch), "consolidate")


def best_assignment(problem: Problem, watch: Watch | None = None) -> Ints:
    """The best of packing onto chosen survivors, of draining host by host, and of leaving all as it is."""
    return min(choices(problem, watch or Watch()), key=lambda assignment: cost_of(problem, assignment))


def choices(problem: Problem, watch: Watch) -> list[Ints]:
    """The assignments worth comparing, each with its broken rules mended and its overloaded hosts relieved."""
    return [problem.home] + [put_right(problem, assignment) for assignment in _searched(problem, watch)]


def _searched(problem: Problem, watch: Watch) -> list[Ints]:
    packed = repack(problem, int(problem.is_on.sum()))
    found = [problem.home] if packed is None else [problem.home, packed]
    watch.found(problem, found[-1])
    if watch.is_over():
        return found
    if packed is not None and _is_near_least(problem, packed):
        return [packed]
    found.insert(1, drain(problem, watch))
    if watch.is_over():
        return found
    if problem.policy.objective != "hosts":
        frugal = repack(problem, int(problem.is_on.sum()) + 1, frugality(problem))
        found += [frugal] if frugal is not None else []
    if problem.policy.objective == "money" and problem.policy.licences:
        found += [gathered_by_licence(problem, assignment) for assignment in found]
    return found


def _is_near_least(problem: Problem, assignment: Ints) -> bool:
    """Whether a large answer is so near its bound that no other search is worth its time."""
    on = int(hosts_staying_on(problem, assignment).sum())
    is_large = len(problem.units) > LARGE
    return is_large and problem.policy.objective == "hosts" and on <= 1.002 * host_bound(problem).hosts


def why_not_freed(data_center: DataCenter, policy: Policy, host_id: str) -> KeptHost | None:
    """What keeps that host on in the best plan; None when that plan frees it, or it is off already."""
    kept = {host.host: host for host in plan(data_center, policy).hosts_kept}
    return kept.get(host_id)
