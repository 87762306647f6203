"""Filling a plan, in the plan worker: world read, planned, checked by the verifier, written with its savings."""

from __future__ import annotations

import logging
import time
import uuid as uuids
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from datacenter import planner as engine
from datacenter.demanding import demand_said
from datacenter.metrics.demand import Demand
from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.planner.data import to_data
from datacenter.planner.watching import Watch
from datacenter.services.plan_text import import_answer
from datacenter.services.plans import plan_open
from datacenter.services.savings import saving, tariff_of
from datacenter.services.undoing import undo_answer
from datacenter.snapshot import data_center_read, fingerprint, planner_policy, policy_of
from hosts.errors import Refused, StowageError
from hosts.models import Site
from hosts.publish import publish_change
from workloads.models import Workload

log = logging.getLogger(__name__)

PLANNING_MOST = timedelta(minutes=10)
RING_AGAIN_AFTER = timedelta(seconds=15)
LOOK_EVERY_S = 0.5  # for a wish to end the search


def plan_make(plan: Plan, demand: dict[str, Demand]) -> None:
    """Fills the plan: document, actions, savings; state PROPOSED, or FAILED with a sentence. Loads the planner.

    Called by the plan worker alone; may think for seconds, outside of any transaction.
    """
    world = data_center_read(plan.site, timezone.now(), demand)
    if not world.hosts:
        return _fail(plan, f"{plan.site} has no enrolled host. Enrol one first.")
    try:
        answer, wakes = _answer(plan, world)
    except StowageError as error:
        return _fail(plan, error.message)
    except Exception as error:
        log.exception("Plan %s broke the planner", plan.pk)
        return _fail(plan, f"The planner made a mistake ({type(error).__name__}); the log of the plan worker has it.")
    with transaction.atomic():
        _write_proposal(plan, world, answer, wakes)


def _answer(plan: Plan, world: planner.DataCenter) -> tuple[planner.Plan, tuple[str, ...]]:
    """The planner's answer, proved by its verifier, and the hosts to be woken for it."""
    policy = planner_policy(policy_of(plan.site))
    if "undo" in plan.document or "placement" in plan.document:
        undone = plan.document.get("undo")
        found = undo_answer(world, policy, undone) if undone else import_answer(world, policy, plan.document)
        _refuse_unproved(found.world, policy, found.answer)
        return found.shown, found.wakes
    host_id = plan.document.get("evacuate")
    answer = engine.evacuate(world, policy, host_id) if host_id else engine.plan(world, policy, watch_of(plan))
    _refuse_unproved(world, policy, answer)
    return answer, ()


def _refuse_unproved(world: planner.DataCenter, policy: planner.Policy, answer: planner.Plan) -> None:
    if violations := engine.verify_plan(world, policy, answer):
        sentences = " ".join(violation.sentence for violation in violations[:3])
        raise Refused(f"The plan did not pass its check and is not shown: {sentences}")


def proposal_propose(
    user: AbstractBaseUser, site: Site, world: planner.DataCenter, answer: planner.Plan, document: dict[str, Any]
) -> Plan:
    """An answer that its caller has from the planner, proved and made a proposal; `document` is kept with it.

    Raises Refused when it does not pass the check, or while a plan of the site runs.
    """
    _refuse_unproved(world, planner_policy(policy_of(site)), answer)
    with transaction.atomic():
        plan = plan_open(user, site, document)
        _write_proposal(plan, world, answer)
    plan.refresh_from_db()
    return plan


def watch_of(plan: Plan, clock: Callable[[], float] = time.monotonic) -> Watch:
    """Tells the plan's page each better answer, and ends the search when a person wants the best so far, or none."""
    asked_at = float("-inf")
    is_over = False

    def tell(hosts_on: int, least: int) -> None:
        best = {"hosts_on": hosts_on, "least": least}
        Plan.objects.filter(pk=plan.pk, state=Plan.State.PLANNING).update(best_so_far=best)
        publish_change("plan", plan.pk, "progress")

    def ask() -> bool:
        nonlocal asked_at, is_over
        if not is_over and clock() - asked_at >= LOOK_EVERY_S:
            asked_at = clock()
            is_over = not Plan.objects.filter(pk=plan.pk, state=Plan.State.PLANNING, is_search_ended=False).exists()
        return is_over

    return Watch(tell, ask)


def _fail(plan: Plan, sentence: str) -> None:
    Plan.objects.filter(pk=plan.pk, state=Plan.State.PLANNING).update(
        state=Plan.State.FAILED, reason=sentence, finished_at=timezone.now()
    )
    publish_change("plan", plan.pk, "failed")


def _write_proposal(plan: Plan, world: planner.DataCenter, answer: planner.Plan, wakes: tuple[str, ...] = ()) -> None:
    tariff = tariff_of(plan.site)
    why = "Each host that is on draws between its idle and peak watts, by the CPU use of what is placed on it."
    figures = saving(tariff, answer.watts_before, answer.watts_after, why).to_data()
    changed = Plan.objects.filter(pk=plan.pk, state=Plan.State.PLANNING).update(
        state=Plan.State.PROPOSED,
        document={
            **plan.document,
            "plan": to_data(answer),
            "world": to_data(world),
            "demand": demand_said(policy_of(plan.site), world),
        },
        savings=figures,
        world_fingerprint=fingerprint(world),
        hosts_on_before=answer.hosts_on_before,
        hosts_on_after=answer.hosts_on_after,
    )
    if not changed:
        return  # rejected meanwhile, by a newer request
    PlanAction.objects.bulk_create(actions_of(plan, world, answer, wakes))
    publish_change("plan", plan.pk, "proposed")


def actions_of(
    plan: Plan, world: planner.DataCenter, answer: planner.Plan, wakes: tuple[str, ...] = ()
) -> list[PlanAction]:
    """A power-on for each host in `wakes`, the answer's moves, and a power-off for each freed host after its moves."""
    names = {row.id: row.label for row in world.workloads}
    woken = {host_id: number for number, host_id in enumerate(wakes, start=1)}
    number_of = {move.id: number for number, move in enumerate(answer.moves, start=len(woken) + 1)}
    # only those that move: a reservation for a move under way stands in the world as a workload without a row
    moved = [move.workload for move in answer.moves]
    known = {str(pk) for pk in Workload.objects.filter(pk__in=moved).values_list("pk", flat=True)}
    actions = [
        PlanAction(
            plan=plan,
            number=number,
            kind=PlanAction.Kind.POWER_ON,
            source_id=host_id,
            reason="Work goes back there.",
        )
        for host_id, number in woken.items()
    ]
    actions += [
        PlanAction(
            plan=plan,
            number=number_of[move.id],
            kind=PlanAction.Kind.MOVE,
            workload_id=move.workload if move.workload in known else None,
            workload_name=names.get(move.workload, move.workload)[:63],
            source_id=move.source,
            target_id=move.target,
            after=[*(woken[host] for host in (move.target,) if host in woken), *(number_of[one] for one in move.after)],
            reason=move.reason[:300],
        )
        for move in answer.moves
    ]
    for number, host_id in enumerate(answer.hosts_to_power_off, start=len(actions) + 1):
        leaving = [number_of[move.id] for move in answer.moves if answer.power_off_last or move.source == host_id]
        actions.append(
            PlanAction(
                plan=plan,
                number=number,
                kind=PlanAction.Kind.POWER_OFF,
                source_id=host_id,
                after=leaving,
                reason="It is empty once the moves before are done.",
            )
        )
    return actions


def plans_unplanned() -> list[uuids.UUID]:
    """Plans that still wait for a plan worker; those that have waited for too long fail with a sentence."""
    waiting = Plan.objects.filter(state=Plan.State.PLANNING)
    for plan in waiting.filter(created_at__lt=timezone.now() - PLANNING_MOST):
        _fail(plan, "The planner gave no answer within ten minutes. Does the plan worker run? Its log may tell more.")
    return list(waiting.filter(created_at__lt=timezone.now() - RING_AGAIN_AFTER).values_list("pk", flat=True))
