"""Carrying out a running plan, act by act. Driven by events and a sweep; nobody waits.

Each act is its own operation and is checked against the world as it is just before it starts. The first act
that fails or no longer fits stops the plan: what is under way ends by itself, the rest is dropped.
"""

from __future__ import annotations

import logging
import uuid as uuids
from collections import Counter

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from datacenter.models import Plan, PlanAction
from datacenter.snapshot import policy_of
from hosts import services as host_services
from hosts.errors import StowageError
from hosts.models import Operation
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

    Safe to call at any time, from several workers at once.
    """
    plan = Plan.objects.select_related("site", "approved_by").get(pk=plan_id)
    actions = list(plan.actions.select_related("operation", "workload", "source", "target"))
    for action in actions:
        _settle(action)
    failed = next((action for action in actions if action.state == State.FAILED), None)
    if failed is not None and plan.state == Plan.State.RUNNING:
        _stop(plan, actions, f"{_title(failed)} failed: {failed.sentence}")
    if plan.state == Plan.State.RUNNING:
        for action in _startable(plan, actions):
            _begin(plan, action)
            if action.state == State.FAILED:
                _stop(plan, actions, f"{_title(action)} could not start: {action.sentence}")
                break
    _finish_when_done(plan, actions)


def _title(action: PlanAction) -> str:
    if action.kind == PlanAction.Kind.MOVE:
        return f"The move of {action.workload_name} to {action.target}"
    return f"Switching {action.source} off"


def _settle(action: PlanAction) -> None:
    """Brings a running act to the state of its operation, once."""
    if action.state != State.RUNNING:
        return
    if action.operation is None and not _operation_found(action):
        return
    assert action.operation is not None
    ended = OPERATION_ENDED.get(Operation.State(action.operation.state))
    if ended is None:
        return
    sentence = "" if ended == State.DONE else action.operation.message or "It was cancelled."
    if PlanAction.objects.filter(pk=action.pk, state=State.RUNNING).update(state=ended, sentence=sentence):
        publish_change("plan", action.plan_id, "action")
    action.state, action.sentence = ended, sentence


def _operation_found(action: PlanAction) -> bool:
    """Heals a crash between claiming an act and noting its operation: finds it by its key, or lets the act wait."""
    action.operation = Operation.objects.filter(idempotency_key=_key(action)).first()
    state = State.RUNNING if action.operation else State.WAITING
    PlanAction.objects.filter(pk=action.pk, state=State.RUNNING, operation=None).update(
        operation=action.operation, state=state
    )
    action.state = state
    return action.operation is not None


def _key(action: PlanAction) -> str:
    """Names the act's operation, so that starting it twice gives the same one."""
    return f"plan-action-{action.pk}"


def _startable(plan: Plan, actions: list[PlanAction]) -> list[PlanAction]:
    """Waiting acts whose predecessors are done, as many as the limits per host let run beside those that do."""
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
            if (
                leaving[action.source_id] >= policy.moves_out_per_host
                or coming[action.target_id] >= policy.moves_in_per_host
            ):
                continue
            leaving[action.source_id] += 1
            coming[action.target_id] += 1
        chosen.append(action)
    return chosen


def _begin(plan: Plan, action: PlanAction) -> None:
    """Claims the act and starts its operation, which checks everything anew; a refusal fails the act."""
    if not PlanAction.objects.filter(pk=action.pk, state=State.WAITING).update(state=State.RUNNING):
        action.refresh_from_db()
        return
    action.state = State.RUNNING
    try:
        operation = _operation_start(plan, action, plan.approved_by or _nobody())
    except StowageError as error:
        action.state, action.sentence = State.FAILED, error.message
        PlanAction.objects.filter(pk=action.pk).update(state=State.FAILED, sentence=error.message)
    else:
        action.operation = operation
        PlanAction.objects.filter(pk=action.pk).update(operation=operation)
    publish_change("plan", plan.pk, "action")


def _nobody() -> AbstractBaseUser:
    """Stands in for an approver whose account was removed: the services will refuse."""
    return get_user_model()(username="removed", is_active=False)


def _operation_start(plan: Plan, action: PlanAction, user: AbstractBaseUser) -> Operation:
    key = _key(action)
    if action.kind == PlanAction.Kind.MOVE:
        if action.workload is None:
            raise workload_services.gone(action.workload_name)
        if action.workload.host_id != action.source_id:
            raise workload_services.moved_meanwhile(action.workload, action.source)
        return workload_services.workload_move(user, action.workload, target=action.target, idempotency_key=key)
    return host_services.host_power_off(user, action.source, idempotency_key=key)


@transaction.atomic
def _stop(plan: Plan, actions: list[PlanAction], sentence: str) -> None:
    """Drops what has not begun and says why."""
    plan.state = Plan.State.STOPPED
    Plan.objects.filter(pk=plan.pk, state=Plan.State.RUNNING).update(state=Plan.State.STOPPED, reason=sentence)
    for action in actions:
        if action.state == State.WAITING:
            action.state = State.DROPPED
    PlanAction.objects.filter(plan=plan, state=State.WAITING).update(
        state=State.DROPPED, sentence="An earlier act failed, so the rest was dropped."
    )
    log.warning("Plan %s stopped: %s", plan.pk, sentence)
    publish_change("plan", plan.pk, "stopped")


def _finish_when_done(plan: Plan, actions: list[PlanAction]) -> None:
    if any(action.state not in ENDED for action in actions):
        return
    now = timezone.now()
    if Plan.objects.filter(pk=plan.pk, state=Plan.State.RUNNING).update(state=Plan.State.DONE, finished_at=now):
        publish_change("plan", plan.pk, "done")
    Plan.objects.filter(pk=plan.pk, state=Plan.State.STOPPED, finished_at=None).update(finished_at=now)


def plans_sweep() -> None:
    """Advances every plan with something open: what a lost message left behind is found here."""
    open_actions = PlanAction.objects.filter(state__in=[State.RUNNING, State.WAITING])
    for plan_id in set(open_actions.filter(plan__state__in=["running", "stopped"]).values_list("plan_id", flat=True)):
        plan_advance(plan_id)
