"""Maintenance runs: asked for, approved, paused, stopped. Their steps are `maintenance_steps`'. decisions/0040.

A run is advanced under a lock on its row, so two sweeps at once do no harm. Nothing is remembered between two looks
but what stands in the database.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction

from datacenter.models import MaintenanceMember, MaintenanceRun, Plan
from datacenter.services.draining import drain_lines
from datacenter.services.maintenance_steps import (
    OVER,
    host_of,
    maintenance_advance,
    member_drain,
    member_over,
    member_plan,
    member_retry,
    open_again,
    run_ring,
    run_to,
    why_not_back,
)
from datacenter.services.plans import plan_reject, plan_stop
from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host, Rack, Site
from hosts.services.doors import User, refuse_if, refuse_unless
from hosts.states import why_not

State, Step, Hook = MaintenanceRun.State, MaintenanceMember.State, MaintenanceRun.Hook


def maintenance_drain(user: User, host: Host) -> MaintenanceRun:
    """Asks the planner where the host's workloads would go; nothing changes before `maintenance_begin`."""
    return _open(user, host.rack.site, host.name, [host], Hook.STAY)


def maintenance_roll(user: User, site: Site, *, rack: Rack | None = None, is_cycled: bool = False) -> MaintenanceRun:
    """Maintenance of all hosts of the site or the rack, one after the other; each is handed back before the next.

    Each waits for an operator's word, or with `is_cycled` is switched off and woken instead.
    """
    found = Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED, is_in_maintenance=False)
    found = found.filter(rack=rack) if rack else found
    hosts = [host for host in found.order_by("rack__name", "name") if host.power == Host.Power.ON]
    about = f"rack {rack.name} of {site.name}" if rack else f"site {site.name}"
    if not hosts:
        raise Refused(f"There is no host that is on in {about}, outside of maintenance.")
    return _open(user, site, about, hosts, Hook.CYCLE if is_cycled else Hook.WAIT)


def _open(user: User, site: Site, about: str, hosts: list[Host], hook: str) -> MaintenanceRun:
    refuse_unless(user, "operate", site)
    for host in hosts:
        refuse_if(why_not(host, "maintenance_on") or why_not(host, "drain"))
        refuse_if(why_not(host, "wake_drill") if hook == Hook.CYCLE else None)
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
                member_plan(user, run.members.get())
            audit_write(user, "maintenance_request", "maintenance", run.pk, about, hosts=[host.name for host in hosts])
            run_ring(run)
    except IntegrityError as error:
        raise Refused(f"There is an open maintenance of {site.name}. Let it end, or stop it first.") from error
    return run


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
    member_drain(user, member)
    run_to(run, State.RUNNING)
    audit_write(user, "maintenance_begin", "maintenance", run.pk, run.about, shut_down=member.shut_down)
    return run


@transaction.atomic
def maintenance_pause(user: User, run: MaintenanceRun) -> MaintenanceRun:
    """Begins no further step; moves under way go on to their end."""
    run = _held(user, run, State.RUNNING)
    run_to(run, State.PAUSED, f"Paused by {user.get_username()}.")
    audit_write(user, "maintenance_pause", "maintenance", run.pk, run.about)
    return run


@transaction.atomic
def maintenance_resume(user: User, run: MaintenanceRun) -> MaintenanceRun:
    """Goes on; a host whose plan came to nothing is planned anew, in your name, and what failed is tried again.

    Where the policy asks for two people, going on approves the plan that the other one asked for.
    """
    run = _held(user, run, State.PAUSED)
    run.user, run.user_name = account_of(user), user.get_username()
    run.save(update_fields=["user", "user_name"])
    for member in run.members.exclude(state__in=OVER).select_related("plan", "operation"):
        member_retry(user, member)
    run_to(run, State.RUNNING)
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
        open_again(member)
        member_over(member, Step.DROPPED)
    run_to(run, State.STOPPED, f"Stopped by {user.get_username()}.")
    audit_write(user, "maintenance_stop", "maintenance", run.pk, run.about)
    return run


@transaction.atomic
def maintenance_work_done(user: User, run: MaintenanceRun, number: int) -> MaintenanceRun:
    """The operator's word that the work on a host is done. Raises Refused unless the host answers again."""
    run = _held(user, run, State.RUNNING, State.PAUSED)
    member = run.members.select_related("host").filter(number=number, state=Step.WORK).first()
    if member is None:
        raise Refused("That host does not wait for your word. Reload the page.")
    host = host_of(member)
    refuse_if(why_not_back(host))
    member.state, member.operation = Step.LEAVING, None
    member.save(update_fields=["state", "operation"])
    audit_write(user, "maintenance_work_done", "maintenance", run.pk, run.about, host=host.name)
    run_ring(run)
    return run


def maintenance_sweep() -> None:
    """Advances every open run. Two at once do no harm."""
    for pk in list(MaintenanceRun.objects.filter(state=State.RUNNING).values_list("pk", flat=True)):
        maintenance_advance(pk)


def _held(user: User, run: MaintenanceRun, *allowed: str) -> MaintenanceRun:
    """The run under its lock. Raises Forbidden, or Refused when it is past that."""
    refuse_unless(user, "operate", run)
    run = MaintenanceRun.objects.select_for_update().get(pk=run.pk)
    if run.state not in allowed:
        raise Refused(f"That can't be done to a maintenance that is {run.get_state_display()}.")
    return run
