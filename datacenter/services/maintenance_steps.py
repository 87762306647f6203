"""The steps of a maintenance run, a host's one after the other, taken under the lock on the run's row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from celery import current_app
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone

from datacenter.models import MaintenanceMember, MaintenanceRun, Plan
from datacenter.services.draining import LIVE, DrainLine, drain_lines
from datacenter.services.plans import (
    changes_since,
    plan_approve,
    plan_open,
    plan_reject,
    planner_ring,
)
from datacenter.snapshot import policy_of
from hosts import services as host_services
from hosts.errors import Refused, StowageError
from hosts.models import Host, Operation
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_if
from hosts.states import why_not
from workloads import services as workload_services
from workloads.models import Workload

State, Step, Hook = MaintenanceRun.State, MaintenanceMember.State, MaintenanceRun.Hook
OVER = (Step.DONE, Step.DROPPED)
BACK_WITHIN = timedelta(minutes=2)  # a woken host's plane tells of its hypervisor every few seconds
OPERATION_OPEN = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


def member_plan(user: User, member: MaintenanceMember) -> None:
    host = host_of(member)
    refuse_if(why_not(host, "drain"))
    member.plan = plan_open(user, member.run.site, {"evacuate": str(host.pk)}, host)  # type: ignore[arg-type]  # it may operate, so it is an account
    member.state, member.begun_at = Step.PLANNING, timezone.now()
    member.save(update_fields=["plan", "state", "begun_at"])
    planner_ring(member.plan)


def member_drain(user: User | AnonymousUser, member: MaintenanceMember) -> None:
    """Closes the host to new workloads and sets the plan going."""
    host = host_of(member)
    if member.plan is not None and member.plan.actions.exists():
        plan_approve(user, member.plan)  # type: ignore[arg-type]  # a deleted account is refused there
    elif member.plan is not None:
        plan_reject(user, member.plan)  # type: ignore[arg-type]  # nothing to move: it is not needed
    member.was_cordoned = host.is_cordoned
    member.state = Step.DRAINING
    member.save(update_fields=["was_cordoned", "state"])
    Host.objects.filter(pk=host.pk).update(is_cordoned=True)
    publish_change("host", host.pk, "draining")


@transaction.atomic
def maintenance_advance(run_id: UUID | str) -> None:
    """The next step of the first host that is not done yet, if it can be taken; pauses with the reason if not."""
    run = MaintenanceRun.objects.select_for_update().filter(pk=run_id, state=State.RUNNING).first()
    if run is None:
        return
    member = run.members.exclude(state__in=OVER).select_related("host", "plan", "operation").first()
    if member is None:
        return run_to(run, State.DONE)
    before = member.state
    try:
        with transaction.atomic():
            _STEPS[member.state](run.user or AnonymousUser(), member)
    except StowageError as error:
        return run_to(run, State.PAUSED, f"{member.host_name}: {error.message}", by_itself=True)
    if member.state != before:
        run_ring(run)


def _next(user: User, member: MaintenanceMember) -> None:
    member_plan(user, member)


def _planned(user: User, member: MaintenanceMember) -> None:
    plan = member.plan
    if plan is None or plan.state in (Plan.State.FAILED, Plan.State.REJECTED):
        raise Refused(plan.reason if plan else "Its plan was removed.")
    if plan.state != Plan.State.PROPOSED:
        return
    if staying := _staying(member):
        raise Refused(f"{staying[0].name} can't leave: {staying[0].why_not}")
    member_drain(user, member)


def _staying(member: MaintenanceMember) -> list[DrainLine]:
    """The workloads that can't leave and are not to be shut down."""
    return [row for row in drain_lines(member) or [] if row.why_not and row.workload not in member.shut_down]


def member_retry(user: User, member: MaintenanceMember) -> None:
    """Takes back what a pause left behind, so that the member's step can be taken again in the user's name.

    A plan that only waits for the second of two people stays: going on is that person's approval.
    """
    plan, operation = member.plan, member.operation
    if member.state in (Step.PLANNING, Step.DRAINING):
        if plan is not None and plan.state in (Plan.State.RUNNING, Plan.State.DONE):
            return
        if member.state == Step.PLANNING and plan is not None and _waits_for(user, plan) and not _staying(member):
            return
        open_again(member)
        _step(member, Step.WAITING)
    elif operation is not None and operation.state not in (*OPERATION_OPEN, Operation.State.DONE):
        member.operation = None
        member.save(update_fields=["operation"])
        if member.state == Step.ENTERING:
            _step(member, Step.STOPPING)


def _waits_for(user: User, plan: Plan) -> bool:
    asked_by_another = plan.requested_by_name != user.get_username() and plan.state == Plan.State.PROPOSED
    return asked_by_another and policy_of(plan.site).two_people and not changes_since(plan)


def _maintain(user: User, member: MaintenanceMember, *, on: bool) -> None:
    key = f"maintenance-{member.pk}-{'on' if on else 'off'}"
    _operate(member, key, partial(host_services.host_maintain, user, host_of(member), on=on))


def _operate(member: MaintenanceMember, key: str, begin: Callable[..., Operation]) -> None:
    """Begins the operation; asked again while it is open or done it is the same one, after a failure a new one."""
    failed = Operation.objects.filter(idempotency_key__startswith=f"{key}-")
    failed = failed.exclude(state__in=(*OPERATION_OPEN, Operation.State.DONE))
    member.operation = begin(idempotency_key=f"{key}-{failed.count() + 1}")
    member.save(update_fields=["operation"])


def _drained(user: User, member: MaintenanceMember) -> None:
    plan = member.plan
    if plan is not None and plan.actions.exists():
        if plan.state == Plan.State.STOPPED:
            raise Refused(plan.reason)
        if plan.state != Plan.State.DONE:
            return
    for row in _live(member):
        if str(row.pk) not in member.shut_down:
            raise Refused(f"{row.name} still runs there. Move it away or stop it, then go on.")
        workload_services.workload_stop(user, row, idempotency_key=f"maintenance-{member.pk}-{row.pk}")
    _step(member, Step.STOPPING)


def _stopped(user: User, member: MaintenanceMember) -> None:
    for row in _live(member):
        key = f"maintenance-{member.pk}-{row.pk}"
        operation = Operation.objects.filter(idempotency_key=key).first()
        if operation is None or operation.state not in (*OPERATION_OPEN, Operation.State.DONE):
            raise Refused(f"{row.name} did not stop. {operation.message if operation else ''} Stop it by hand.".strip())
        return
    _maintain(user, member, on=True)
    _step(member, Step.ENTERING)


def _entered(_user: User, member: MaintenanceMember) -> None:
    if _is_over(member):
        if member.run.hook == Hook.STAY:
            member_over(member, Step.DONE)
        elif member.run.hook == Hook.CYCLE:
            member.operation = None
            member.save(update_fields=["operation"])
            _step(member, Step.CYCLING)
        else:
            _step(member, Step.WORK)


def _works(_user: User, _member: MaintenanceMember) -> None:
    """Nothing to do: `maintenance_work_done` goes on."""


def _cycled(user: User, member: MaintenanceMember) -> None:
    """A wake drill is just that: proven empty, switched off, woken, in quarantine if it does not wake."""
    if member.operation is None:
        drill = partial(host_services.host_wake_drill, user, host_of(member))
        _operate(member, f"maintenance-{member.pk}-cycle", drill)
    elif _is_over(member):
        if reason := why_not_back(host_of(member)):
            if timezone.now() - (member.operation.finished_at or member.operation.created_at) < BACK_WITHIN:
                return
            raise Refused(reason)
        member.operation = None
        member.save(update_fields=["operation"])
        _step(member, Step.LEAVING)


def why_not_back(host: Host) -> str | None:
    """None, or why a host cannot be handed back after the work on it."""
    reason = why_not(host, "drain") or host.hypervisor_sentence
    return f"{host.name} is not back yet: {reason}" if reason else None


def _left(user: User, member: MaintenanceMember) -> None:
    if member.operation is None:
        _maintain(user, member, on=False)
    elif _is_over(member):
        member_over(member, Step.DONE)


_STEPS: dict[str, Callable[[Any, MaintenanceMember], None]] = {
    Step.WAITING: _next,
    Step.PLANNING: _planned,
    Step.DRAINING: _drained,
    Step.STOPPING: _stopped,
    Step.ENTERING: _entered,
    Step.WORK: _works,
    Step.CYCLING: _cycled,
    Step.LEAVING: _left,
}


def _is_over(member: MaintenanceMember) -> bool:
    """Whether the member's operation is done; raises Refused when it failed."""
    operation = member.operation
    if operation is not None and operation.state in OPERATION_OPEN:
        return False
    if operation is None or operation.state != Operation.State.DONE:
        raise Refused((operation.message if operation else "") or "Its operation did not come to its end.")
    return True


def _live(member: MaintenanceMember) -> list[Workload]:
    return list(Workload.objects.filter(host=member.host, state__in=LIVE).order_by("name"))


def host_of(member: MaintenanceMember) -> Host:
    host = Host.objects.filter(pk=member.host_id).first() if member.host_id else None
    if host is None:
        raise Refused(f"{member.host_name} was removed meanwhile.")
    return host


def open_again(member: MaintenanceMember) -> None:
    if member.host_id and member.state in (Step.DRAINING, Step.STOPPING) and not member.was_cordoned:
        Host.objects.filter(pk=member.host_id, is_in_maintenance=False).update(is_cordoned=False)
        publish_change("host", member.host_id, "open again")


def _step(member: MaintenanceMember, state: str) -> None:
    member.state = state
    member.save(update_fields=["state"])


def member_over(member: MaintenanceMember, state: str) -> None:
    member.state, member.finished_at = state, timezone.now()
    member.save(update_fields=["state", "finished_at"])


def run_to(run: MaintenanceRun, state: str, sentence: str = "", *, by_itself: bool = False) -> None:
    run.state, run.sentence, run.is_paused_by_itself = state, sentence, by_itself
    run.finished_at = timezone.now() if state in (State.DONE, State.STOPPED) else None
    run.save(update_fields=["state", "sentence", "is_paused_by_itself", "finished_at"])
    run_ring(run)


def run_ring(run: MaintenanceRun) -> None:
    publish_change("maintenance", run.pk)
    ring = partial(current_app.send_task, "datacenter.maintenance_advance", args=[str(run.pk)], queue="control")
    transaction.on_commit(ring, robust=True)
