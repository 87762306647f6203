"""Undoing a plan: back to the placement that was saved when it began, planned and proved like any other plan.

What is undone is what the plan did and what is still as it left it. decisions/0030.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.services.plans import plan_open, planner_ring
from datacenter.services.rearranged import Rearranged, rearranged
from hosts.errors import Refused

State = Plan.State


def why_not_undone(plan: Plan) -> str | None:
    """None, or why there is nothing of the plan to be undone."""
    if plan.state not in (State.DONE, State.STOPPED):
        return f"Only a plan that was carried out can be undone; this one is {plan.get_state_display()}."
    if plan.finished_at is None:
        return "Its last acts have not ended yet."
    if not plan.actions.filter(kind=PlanAction.Kind.MOVE, state=PlanAction.State.DONE).exists():
        return "None of its moves was done."
    return None


@transaction.atomic
def plan_undo(user: AbstractBaseUser, plan: Plan) -> Plan:
    """Asks for a plan that takes this one back; the plan worker fills it. Raises Refused where nothing is to undo."""
    if reason := why_not_undone(plan):
        raise Refused(reason)
    made = plan_open(user, plan.site, {"undo": str(plan.pk)})
    planner_ring(made)
    return made


def undo_answer(world: planner.DataCenter, policy: planner.Policy, plan_id: str) -> Rearranged:
    """What takes the plan back in the data center as it is now. Raises Refused when nothing of it is left to undo."""
    done = PlanAction.objects.filter(plan=UUID(plan_id), kind=PlanAction.Kind.MOVE, state=PlanAction.State.DONE)
    here = {row.id: row for row in world.workloads}
    hosts = {host.id for host in world.hosts}
    wanted: dict[str, str] = {}
    left: list[str] = []
    # A workload that the plan parked on the way has two moves: it goes back to where the first one found it.
    for action in done.order_by("-number"):
        workload = here.get(str(action.workload_id))
        if workload is None:
            left.append(f"{action.workload_name} is gone.")
        elif str(action.source_id) not in hosts:
            left.append(f"{action.workload_name} cannot go back: its host was removed.")
        elif wanted.get(workload.id, workload.host) != str(action.target_id):
            left.append(f"{action.workload_name} was moved since, and stays where it is.")
        else:
            wanted[workload.id] = str(action.source_id)
    wanted = {name: host for name, host in wanted.items() if here[name].host != host}
    if not wanted:
        raise Refused(f"Nothing of the plan is left to undo. {' '.join(left[:3])}".strip())
    return rearranged(world, policy, wanted, left)
