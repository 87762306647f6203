"""Undoing a plan: back to the placement that was saved when it began, planned and proved like any other plan.

What is undone is what the plan did and what is still as it left it. decisions/0030.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from datacenter import planner as engine
from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.services.plans import plan_open, planner_ring
from hosts.errors import Refused
from hosts.models import Host
from hosts.states import has_bmc

State = Plan.State


@dataclass(frozen=True)
class Undo:
    """The planner's answer for the data center with woken hosts on, which its check needs, and what is shown of it.

    `shown` counts hosts and watts from today on, and says what stays as it is. `wakes` are ids of hosts.
    """

    answer: planner.Plan
    world: planner.DataCenter
    shown: planner.Plan
    wakes: tuple[str, ...]


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


def undo_answer(world: planner.DataCenter, policy: planner.Policy, plan_id: str) -> Undo:
    """What takes the plan back in the data center as it is now. Raises Refused when nothing of it is left to undo."""
    done = PlanAction.objects.filter(plan=UUID(plan_id), kind=PlanAction.Kind.MOVE, state=PlanAction.State.DONE)
    here = {row.id: row for row in world.workloads}
    hosts = {host.id: host for host in world.hosts}
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
    wakes = _asleep({host for host in wanted.values() if not hosts[host].is_on})
    answer = engine.rearrange(_with_on(world, wakes), policy, wanted)
    needed = {move.target for move in answer.moves}
    if needless := [host for host in wakes if host not in needed]:  # nothing can go back there: it stays dark
        wakes = tuple(host for host in wakes if host not in needless)
        answer = engine.rearrange(_with_on(world, wakes), policy, wanted)
    awake = _with_on(world, wakes)
    drawn = sum(host.idle_watts for host in awake.hosts if host.id in wakes)
    shown = replace(
        answer,
        refusals=(*answer.refusals, *left),
        hosts_on_before=sum(host.is_on for host in world.hosts),
        watts_before=answer.watts_before - drawn,
    )
    return Undo(answer, awake, shown, wakes)


def _asleep(host_ids: set[str]) -> tuple[str, ...]:
    """Those of the hosts that can be woken: off, in no maintenance, with a BMC."""
    rows = Host.objects.filter(pk__in=host_ids, is_in_maintenance=False).select_related("bmc").order_by("name")
    return tuple(str(host.pk) for host in rows if has_bmc(host))


def _with_on(world: planner.DataCenter, wakes: tuple[str, ...]) -> planner.DataCenter:
    hosts = (
        replace(host, is_on=True, accepts_work=True, accepts_reason="") if host.id in wakes else host
        for host in world.hosts
    )
    return replace(world, hosts=tuple(hosts))
