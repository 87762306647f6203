"""Carrying out a running plan, act by act. Driven by events and a sweep; nobody waits.

Each act is its own operation and is checked against the world as it is just before it starts. The first act
that fails or no longer fits stops the plan: what is under way ends by itself, the rest is dropped.
"""

from __future__ import annotations

import logging
import uuid as uuids
from collections import Counter

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.utils import timezone

from datacenter.admission import why_not_admitted
from datacenter.models import Plan, PlanAction
from datacenter.services.plans import world_of
from datacenter.snapshot import data_center_read, demand_of, planner_policy, policy_of
from datacenter.wake_proof import wake_proofs
from hosts import services as host_services
from hosts.errors import Refused, StowageError
from hosts.models import Host, Operation, Wake
from hosts.publish import publish_change
from workloads import services as workload_services

log = logging.getLogger(__name__)

State = PlanAction.State
ENDED = {State.DONE, State.FAILED, State.DROPPED}
OPERATION_ENDED = {
    Operation.State.DONE: State.DONE,
    Operation.State.FAILED: State.FAILED,
    Operation.State.CANCELLED: State.FAILED,
    Operation.State.STUCK: State.FAILED,
}


def plan_advance(plan_id: uuids.UUID | str) -> None:
    """Takes note of ended operations, starts every act that may start, ends the plan when nothing is left.

    Safe to call at any time, from several workers at once: every change is conditional on what it changes.
    """
    plan = Plan.objects.select_related("site", "approved_by").filter(pk=plan_id).first()
    if plan is None:
        return
    actions = list(plan.actions.select_related("operation", "workload", "source", "target"))
    for action in actions:
        _settle(action)
    failed = next((action for action in actions if action.state == State.FAILED), None)
    if failed is not None:
        _stop(plan, f"{_title(failed)} failed: {failed.sentence}")
    else:
        for action in _startable(plan, actions):
            if not _begin(plan, action):
                break
    _finish_when_done(plan)


def _title(action: PlanAction) -> str:
    if action.kind == PlanAction.Kind.MOVE:
        return f"The move of {action.workload_name} to {action.target or 'a removed host'}"
    way = "on" if action.kind == PlanAction.Kind.POWER_ON else "off"
    return f"Switching {action.source or 'a removed host'} {way}"


def _settle(action: PlanAction) -> None:
    """Brings a running act to the state of its operation, once."""
    if action.state != State.RUNNING:
        return
    operation = action.operation
    if operation is None:
        ended, sentence = State.FAILED, "Its operation was removed."
    elif (found := OPERATION_ENDED.get(Operation.State(operation.state))) is not None:
        ended, sentence = found, "" if found == State.DONE else operation.message or "It was cancelled."
    else:
        return
    if PlanAction.objects.filter(pk=action.pk, state=State.RUNNING).update(state=ended, sentence=sentence):
        publish_change("plan", action.plan_id, "action")
    action.state, action.sentence = ended, sentence


def _startable(plan: Plan, actions: list[PlanAction]) -> list[PlanAction]:
    """Waiting acts whose predecessors are done, as many as the limits per host let run beside those that do."""
    if plan.state != Plan.State.RUNNING or plan.paused_at is not None:
        return []
    policy = policy_of(plan.site)
    done = {action.number for action in actions if action.state == State.DONE}
    running = [action for action in actions if action.state == State.RUNNING and action.kind == PlanAction.Kind.MOVE]
    leaving = Counter(action.source_id for action in running)
    coming = Counter(action.target_id for action in running)
    chosen = []
    for action in actions:
        if action.state != State.WAITING or not done.issuperset(action.after):
            continue
        if action.kind == PlanAction.Kind.MOVE:
            is_full = (
                leaving[action.source_id] >= policy.moves_out_per_host
                or coming[action.target_id] >= policy.moves_in_per_host
            )
            if is_full:
                continue
            leaving[action.source_id] += 1
            coming[action.target_id] += 1
        chosen.append(action)
    return chosen


def _begin(plan: Plan, action: PlanAction) -> bool:
    """Starts the act's operation; False when the plan was stopped by a refusal.

    Claim, check and operation are one transaction: no crash leaves a claimed act without its operation, and of two
    workers only one gets through.
    """
    with transaction.atomic():
        claimed = PlanAction.objects.filter(
            pk=action.pk, state=State.WAITING, plan__state=Plan.State.RUNNING, plan__paused_at=None
        )
        if not claimed.update(state=State.RUNNING):
            return True
        if action.kind == PlanAction.Kind.POWER_OFF and (sentence := _why_stays_on(plan, action)):
            # nothing has failed: the host is as empty as it should be, and only draws its idle watts
            PlanAction.objects.filter(pk=action.pk).update(state=State.DROPPED, sentence=sentence)
            publish_change("plan", plan.pk, "action")
            return True
        try:
            with transaction.atomic():
                operation = _operation_start(plan, action, plan.approved_by or AnonymousUser())
        except StowageError as error:
            PlanAction.objects.filter(pk=action.pk).update(state=State.FAILED, sentence=error.message)
            _stop(plan, f"{_title(action)} could not start: {error.message}")
            return False
        PlanAction.objects.filter(pk=action.pk).update(operation=operation)
        publish_change("plan", plan.pk, "action")
    return True


def _why_stays_on(plan: Plan, action: PlanAction) -> str:
    """Why the host must not go dark by this plan as things are now; empty when it may."""
    if action.source is None:
        return ""  # refused with its own sentence
    host = Host.objects.get(pk=action.source.pk)
    proofs = wake_proofs(policy_of(plan.site), timezone.now(), is_automatic=plan.is_automatic)
    return proofs.why_unproven(host)


def _operation_start(plan: Plan, action: PlanAction, user: AbstractBaseUser | AnonymousUser) -> Operation:
    key = f"plan-action-{action.pk}"
    if action.kind in (PlanAction.Kind.POWER_OFF, PlanAction.Kind.POWER_ON):
        if action.source is None:
            raise Refused("The host was removed meanwhile.")
        if action.kind == PlanAction.Kind.POWER_OFF:
            return host_services.host_power_off(user, action.source, idempotency_key=key)
        return host_services.host_power_on(user, action.source, idempotency_key=key, origin=Wake.Origin.PLAN)
    if action.workload is None or action.target is None:
        raise workload_services.gone(action.workload_name)
    if action.workload.host_id != action.source_id:
        raise workload_services.moved_meanwhile(action.workload, action.source)
    _refuse_if_unfit(plan, action)
    return workload_services.workload_move(user, action.workload, target=action.target, idempotency_key=key)


def _refuse_if_unfit(plan: Plan, action: PlanAction) -> None:
    """Raises Refused unless the move still fits the world as it is now, under the policy as it is now.

    Demand is counted as it was measured for the plan.
    """
    planned = world_of(plan)
    world = data_center_read(plan.site, timezone.now(), demand_of(planned) if planned else None)
    policy = planner_policy(policy_of(plan.site))
    workload = next((row for row in world.workloads if row.id == str(action.workload_id)), None)
    target = next((host for host in world.hosts if host.id == str(action.target_id)), None)
    if workload is None or target is None:
        raise workload_services.gone(action.workload_name)
    if reason := workload.why_fixed or why_not_admitted(world, policy, workload, target):
        raise Refused(f"{reason.rstrip('.')}.")


@transaction.atomic
def _stop(plan: Plan, sentence: str) -> None:
    """Drops what has not begun and says why; once."""
    if not Plan.objects.filter(pk=plan.pk, state=Plan.State.RUNNING).update(state=Plan.State.STOPPED, reason=sentence):
        return
    PlanAction.objects.filter(plan=plan, state=State.WAITING).update(
        state=State.DROPPED, sentence="An earlier act failed, so the rest was dropped."
    )
    log.warning("Plan %s stopped: %s", plan.pk, sentence)
    publish_change("plan", plan.pk, "stopped")


@transaction.atomic
def _finish_when_done(plan: Plan) -> None:
    """Notes the end once no act is open any more: done, or stopped and now at rest."""
    if PlanAction.objects.filter(plan=plan).exclude(state__in=ENDED).exists():
        return
    rows = Plan.objects.filter(pk=plan.pk, finished_at=None)
    now = timezone.now()
    is_done = rows.filter(state=Plan.State.RUNNING).update(state=Plan.State.DONE, finished_at=now)
    is_at_rest = rows.filter(state=Plan.State.STOPPED).update(finished_at=now)
    if is_done or is_at_rest:
        publish_change("plan", plan.pk, "done" if is_done else "stopped")


def plans_sweep() -> None:
    """Advances every plan that has not come to rest: what a lost message left behind is found here."""
    rows = Plan.objects.filter(state__in=[Plan.State.RUNNING, Plan.State.STOPPED], finished_at=None)
    for plan_id in list(rows.values_list("pk", flat=True)):
        plan_advance(plan_id)
