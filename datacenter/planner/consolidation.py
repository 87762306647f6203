"""The main question: which hosts can be freed, by which moves, and why not more."""

from __future__ import annotations

from .assembly import assemble
from .draining import drain
from .model import DataCenter, KeptHost, Plan, Policy
from .problem import problem_of
from .validation import check_input


def plan(data_center: DataCenter, policy: Policy) -> Plan:
    """The plan with the fewest hosts on that was found, and its proven lower bound.

    A plan without moves says, host by host, why nothing can be freed. The same input gives the same plan.
    Raises Invalid with a sentence for input that no plan can be made of.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    return assemble(problem, drain(problem), "consolidate")


def why_not_freed(data_center: DataCenter, policy: Policy, host_id: str) -> KeptHost | None:
    """What keeps that host on in the best plan; None when that plan frees it, or it is off already."""
    kept = {host.host: host for host in plan(data_center, policy).hosts_kept}
    return kept.get(host_id)
