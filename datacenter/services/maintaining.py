"""Maintenance runs: asked for, approved, advanced by a sweep, paused, stopped. decisions/0040.

A run is advanced under a lock on its row, so two sweeps at once do no harm. Nothing is remembered between two looks
but what stands in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from celery import current_app
from django.contrib.auth.models import AnonymousUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from datacenter.models import MaintenanceMember, MaintenanceRun, Plan
from datacenter.services.plans import answer_of, plan_approve, plan_open, plan_reject, plan_stop, planner_ring, world_of
from hosts import services as host_services
from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused, StowageError
from hosts.models import Host, Operation, Rack, Site
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_if, refuse_unless
from hosts.states import why_not
from workloads import services as workload_services
from workloads.models import Workload

State, Step, Hook = MaintenanceRun.State, MaintenanceMember.State, MaintenanceRun.Hook
OVER = (Step.DONE, Step.DROPPED)
LIVE = (
    Workload.State.RUNNING,
    Workload.State.PAUSED,
    Workload.State.MIGRATING,
    Workload.State.STARTING,
    Workload.State.UNKNOWN,
)
OPERATION_OPEN = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


@dataclass(frozen=True)
class DrainLine:
    """What becomes of one workload of the host: it moves to `target`, or stays for `why_not`."""

    workload: str
    name: str
    kind: str
    target: str
    seconds: float  # predicted, as are those below
    blackout_ms: float
    moved_mib: float  # memory and disks
    why_not: str


def drain_lines(member: MaintenanceMember) -> list[DrainLine] | None:
    """A line for each running workload of the member's host by its plan; None while the planner is at work."""
    answer, world = (answer_of(member.plan), world_of(member.plan)) if member.plan else (None, None)
    if answer is None or world is None:
        return None
    hosts = {host.id: host.label for host in world.hosts}
    moves = {move.workload: move for move in answer.moves}
    reasons = {row.workload: row.sentence for row in answer.workloads_unmoved}
    live = {str(pk) for pk in Workload.objects.filter(host=member.host, state__in=LIVE).values_list("pk", flat=True)}
    lines = []
    for row in world.workloads:
        if row.host != str(member.host_id) or (row.id not in live and row.id not in moves):
            continue
        move = moves.get(row.id)
        lines.append(
            DrainLine(
                row.id,
                row.label,
                row.kind,
                hosts.get(move.target, move.target) if move else "",
                move.seconds if move else 0.0,
                move.blackout_ms if move else 0.0,
                move.memory_mib + 1024 * move.copy_gib if move else 0.0,
                "" if move else reasons.get(row.id, "The planner found no place for it."),
            )
        )
    return lines


def maintenance_drain(user: User, host: Host) -> MaintenanceRun:
    """Asks the planner where the host's workloads would go; nothing changes before `maintenance_begin`."""
    return _open(user, host.rack.site, host.name, [host], Hook.STAY)


def maintenance_roll(user: User, site: Site, *, rack: Rack | None = None) -> MaintenanceRun:
    """Maintenance of all hosts of the site or the rack, one after the other; each is handed back before the next."""
    found = Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED, is_in_maintenance=False)
    found = found.filter(rack=rack) if rack else found
    hosts = [host for host in found.order_by("rack__name", "name") if host.power == Host.Power.ON]
    about = f"rack {rack.name} of {site.name}" if rack else f"site {site.name}"
    if not hosts:
        raise Refused(f"There is no host that is on in {about}, outside of maintenance.")
    return _open(user, site, about, hosts, Hook.WAIT)


def _open(user: User, site: Site, about: str, hosts: list[Host], hook: str) -> MaintenanceRun:
    refuse_unless(user, "operate", site)
    for host in hosts:
        refuse_if(why_not(host, "maintenance_on") or why_not(host, "drain"))
    try:
        with transaction.atomic():
            run = MaintenanceRun.objects.create(
                site=site,
                about=about,
                hook=hook,
                state=State.PROPOSED if hook == Hook.STAY else State.RUNNING,
                user=account_of(user),
                user_name=user.get_username(),
            )
            for number, host in enumerate(hosts, start=1):
                MaintenanceMember.objects.create(run=run, number=number, host=host, host_name=host.name)
            if hook == Hook.STAY:
                _plan(user, run.members.get())
            audit_write(user, "maintenance_request", "maintenance", run.pk, about, hosts=[host.name for host in hosts])
            _ring(run)
    except IntegrityError as error:
        raise Refused(f"There is an open maintenance of {site.name}. Let it end, or stop it first.") from error
    return run


def _plan(user: User, member: MaintenanceMember) -> None:
    host = _host(member)
    refuse_if(why_not(host, "drain"))
    member.plan = plan_open(user, member.run.site, {"evacuate": str(host.pk)}, host)  # type: ignore[arg-type]  # it may operate, so it is an account
    member.state, member.begun_at = Step.PLANNING, timezone.now()
    member.save(update_fields=["plan", "state", "begun_at"])
    planner_ring(member.plan)


@transaction.atomic
def maintenance_begin(user: User, run: MaintenanceRun, *, shut_down: Iterable[UUID] = ()) -> MaintenanceRun:
    """Carries out a proposed drain. Raises Refused while a workload can't move and is not to be shut down either."""
    run = _held(user, run, State.PROPOSED)
    member = run.members.first()
    lines = drain_lines(member) if member else None
    if member is None or lines is None or member.plan is None or member.plan.state != Plan.State.PROPOSED:
        raise Refused("The planner has no proposal yet. Wait for it, or ask again.")
    chosen = {str(one) for one in shut_down}
    if strange := chosen - {line.workload for line in lines if line.why_not}:
        raise Invalid(f"{min(strange)} is no workload of the host that has to stay.", field="shut_down")
    if staying := [line for line in lines if line.why_not and line.workload not in chosen]:
        raise Refused(f"{staying[0].name} can't leave: {staying[0].why_not} Have it shut down, or mend that first.")
    member.shut_down = sorted(chosen)
    member.save(update_fields=["shut_down"])
    _drain(user, member)
    _to(run, State.RUNNING)
    audit_write(user, "maintenance_begin", "maintenance", run.pk, run.about, shut_down=member.shut_down)
    return run


def _drain(user: User | AnonymousUser, member: MaintenanceMember) -> None:
    """Closes the host to new workloads and sets the plan going."""
    host = _host(member)
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
def maintenance_pause(user: User, run: MaintenanceRun) -> MaintenanceRun:
    """Begins no further step; moves under way go on to their end."""
    run = _held(user, run, State.RUNNING)
    _to(run, State.PAUSED, f"Paused by {user.get_username()}.")
    audit_write(user, "maintenance_pause", "maintenance", run.pk, run.about)
    return run


@transaction.atomic
def maintenance_resume(user: User, run: MaintenanceRun) -> MaintenanceRun:
    """Goes on; a host whose plan came to nothing is planned anew, in your name."""
    run = _held(user, run, State.PAUSED)
    run.user, run.user_name = account_of(user), user.get_username()
    run.save(update_fields=["user", "user_name"])
    for member in run.members.filter(state__in=[Step.PLANNING, Step.DRAINING]).select_related("plan"):
        if member.plan is None or member.plan.state in (Plan.State.FAILED, Plan.State.STOPPED, Plan.State.REJECTED):
            _open_again(member)
            member.state = Step.WAITING
            member.save(update_fields=["state"])
    _to(run, State.RUNNING)
    audit_write(user, "maintenance_resume", "maintenance", run.pk, run.about)
    return run


@transaction.atomic
def maintenance_stop(user: User, run: MaintenanceRun) -> MaintenanceRun:
    """Ends the run: moves under way go on to their end, hosts not yet in maintenance are opened again."""
    run = _held(user, run, State.PROPOSED, State.RUNNING, State.PAUSED)
    for member in run.members.exclude(state__in=OVER).select_related("plan"):
        if member.plan is not None and member.plan.state == Plan.State.RUNNING:
            plan_stop(user, member.plan)  # type: ignore[arg-type]
        elif member.plan is not None and member.plan.state in (Plan.State.PLANNING, Plan.State.PROPOSED):
            plan_reject(user, member.plan)  # type: ignore[arg-type]
        _open_again(member)
        _over(member, Step.DROPPED)
    _to(run, State.STOPPED, f"Stopped by {user.get_username()}.")
    audit_write(user, "maintenance_stop", "maintenance", run.pk, run.about)
    return run


@transaction.atomic
def maintenance_work_done(user: User, run: MaintenanceRun, number: int) -> MaintenanceRun:
    """The operator's word that the work on a host is done. Raises Refused unless the host answers again."""
    run = _held(user, run, State.RUNNING, State.PAUSED)
    member = run.members.select_related("host").filter(number=number, state=Step.WORK).first()
    if member is None:
        raise Refused("That host does not wait for your word. Reload the page.")
    host = _host(member)
    if (reason := why_not(host, "drain")) or host.hypervisor_sentence:
        raise Refused(f"{host.name} is not back yet: {reason or host.hypervisor_sentence}")
    member.state, member.operation = Step.LEAVING, None
    member.save(update_fields=["state", "operation"])
    audit_write(user, "maintenance_work_done", "maintenance", run.pk, run.about, host=host.name)
    _ring(run)
    return run


def maintenance_sweep() -> None:
    """Advances every open run. Two at once do no harm."""
    for pk in list(MaintenanceRun.objects.filter(state=State.RUNNING).values_list("pk", flat=True)):
        maintenance_advance(pk)


@transaction.atomic
def maintenance_advance(run_id: UUID | str) -> None:
    """The next step of the first host that is not done yet, if it can be taken; pauses with the reason if not."""
    run = MaintenanceRun.objects.select_for_update().filter(pk=run_id, state=State.RUNNING).first()
    if run is None:
        return
    member = run.members.exclude(state__in=OVER).select_related("host", "plan", "operation").first()
    if member is None:
        return _to(run, State.DONE)
    before = member.state
    try:
        with transaction.atomic():
            _STEPS[member.state](run.user or AnonymousUser(), member)
    except StowageError as error:
        return _to(run, State.PAUSED, f"{member.host_name}: {error.message}")
    if member.state != before:
        _ring(run)


def _next(user: User, member: MaintenanceMember) -> None:
    _plan(user, member)


def _planned(user: User, member: MaintenanceMember) -> None:
    plan = member.plan
    if plan is None or plan.state in (Plan.State.FAILED, Plan.State.REJECTED):
        raise Refused(plan.reason if plan else "Its plan was removed.")
    if plan.state != Plan.State.PROPOSED:
        return
    shut_down = set(member.shut_down)
    staying = [row for row in drain_lines(member) or [] if row.why_not and row.workload not in shut_down]
    if staying:
        raise Refused(f"{staying[0].name} can't leave: {staying[0].why_not}")
    _drain(user, member)


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
    member.operation = host_services.host_maintain(
        user, _host(member), on=True, idempotency_key=f"maintenance-{member.pk}-on"
    )
    member.save(update_fields=["operation"])
    _step(member, Step.ENTERING)


def _entered(_user: User, member: MaintenanceMember) -> None:
    if _is_over(member):
        if member.run.hook == Hook.STAY:
            _over(member, Step.DONE)
        else:
            _step(member, Step.WORK)


def _works(_user: User, _member: MaintenanceMember) -> None:
    """Nothing to do: `maintenance_work_done` goes on."""


def _left(user: User, member: MaintenanceMember) -> None:
    if member.operation is None:
        member.operation = host_services.host_maintain(
            user, _host(member), on=False, idempotency_key=f"maintenance-{member.pk}-off"
        )
        member.save(update_fields=["operation"])
    elif _is_over(member):
        _over(member, Step.DONE)


_STEPS: dict[str, Callable[[Any, MaintenanceMember], None]] = {
    Step.WAITING: _next,
    Step.PLANNING: _planned,
    Step.DRAINING: _drained,
    Step.STOPPING: _stopped,
    Step.ENTERING: _entered,
    Step.WORK: _works,
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


def _host(member: MaintenanceMember) -> Host:
    host = Host.objects.filter(pk=member.host_id).first() if member.host_id else None
    if host is None:
        raise Refused(f"{member.host_name} was removed meanwhile.")
    return host


def _open_again(member: MaintenanceMember) -> None:
    if member.host_id and member.state in (Step.DRAINING, Step.STOPPING) and not member.was_cordoned:
        Host.objects.filter(pk=member.host_id, is_in_maintenance=False).update(is_cordoned=False)
        publish_change("host", member.host_id, "open again")


def _step(member: MaintenanceMember, state: str) -> None:
    member.state = state
    member.save(update_fields=["state"])


def _over(member: MaintenanceMember, state: str) -> None:
    member.state, member.finished_at = state, timezone.now()
    member.save(update_fields=["state", "finished_at"])


def _held(user: User, run: MaintenanceRun, *allowed: str) -> MaintenanceRun:
    """The run under its lock. Raises Forbidden, or Refused when it is past that."""
    refuse_unless(user, "operate", run)
    run = MaintenanceRun.objects.select_for_update().get(pk=run.pk)
    if run.state not in allowed:
        raise Refused(f"That can't be done to a maintenance that is {run.get_state_display()}.")
    return run


def _to(run: MaintenanceRun, state: str, sentence: str = "") -> None:
    run.state, run.sentence = state, sentence
    run.finished_at = timezone.now() if state in (State.DONE, State.STOPPED) else None
    run.save(update_fields=["state", "sentence", "finished_at"])
    _ring(run)


def _ring(run: MaintenanceRun) -> None:
    publish_change("maintenance", run.pk)
    ring = partial(current_app.send_task, "datacenter.maintenance_advance", args=[str(run.pk)], queue="control")
    transaction.on_commit(ring, robust=True)
