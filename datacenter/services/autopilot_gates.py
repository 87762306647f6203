"""Why the autopilot does not act now: what is asked before it plans, and what its plan must be worth."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from datacenter.models import Autopilot, Plan, PlanAction, Recovery
from datacenter.planner import model as planner
from datacenter.services.autopilot import ACCOUNT
from datacenter.services.plans import GOOD_FOR, UNDECIDED
from hosts.inventory import is_silent
from hosts.models import Host, Operation, Site

# A machine draws its peak while it boots, until somebody has measured how long that takes.
WAKE_S = 300.0
NOT_ASKED_AGAIN_FOR = timedelta(hours=1)


def why_not_now(autopilot: Autopilot, now: datetime) -> str:
    """Why nothing is begun at the site just now, whatever its load; empty when something may be."""
    site = autopilot.site
    if Plan.objects.filter(site=site, state__in=[Plan.State.RUNNING, Plan.State.STOPPED], finished_at=None).exists():
        return "A plan is being carried out."
    if lost := Recovery.objects.filter(host__rack__site=site, finished_at=None).select_related("host").first():
        return f"{lost.host.name} is lost, and its recovery is not over."
    for host in Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED).exclude(power=Host.Power.OFF):
        if host.desired_power == Host.Power.ON and is_silent(host, now):
            return f"{host.name} does not answer, so not everything is known."
    if busy := _being_switched(autopilot):
        return f"{busy} is being switched."
    return ""


def why_a_person_decides(autopilot: Autopilot, now: datetime) -> str:
    """That a person's own proposal waits, which a newer one would put aside; empty without one."""
    waiting = Plan.objects.filter(site=autopilot.site, state__in=UNDECIDED, created_at__gt=now - GOOD_FOR)
    other = waiting.exclude(requested_by_name=ACCOUNT).first()
    return f"A plan that {other.requested_by_name} asked for waits for a decision." if other else ""


def not_waking(site: Site, now: datetime) -> set[UUID]:
    """Hosts that did not wake when they were asked to in the last hour: another one is asked first."""
    failed = Operation.objects.filter(
        kind="host_power_on",
        host__rack__site=site,
        state__in=(Operation.State.FAILED, Operation.State.CANCELLED, Operation.State.STUCK),
        updated_at__gt=now - NOT_ASKED_AGAIN_FOR,
    )
    return {pk for pk in failed.values_list("host_id", flat=True) if pk}


def _being_switched(autopilot: Autopilot) -> str:
    row = Operation.objects.filter(
        kind__in=("host_power_on", "host_power_off", "host_wake_drill"),
        host__rack__site=autopilot.site,
        state__in=(Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING),
    ).first()
    return row.subject_name if row else ""


def why_too_soon(autopilot: Autopilot, now: datetime) -> str:
    """Why no plan to free hosts is made so soon after another; empty when the time has passed."""
    last = (
        Plan.objects.filter(site=autopilot.site, finished_at__gt=now - timedelta(minutes=autopilot.cool_down_minutes))
        .exclude(approved_at=None)
        .order_by("-finished_at")
        .first()
    )
    if last is None or last.finished_at is None:
        return ""
    until = last.finished_at + timedelta(minutes=autopilot.cool_down_minutes)
    return f"The last plan ended at {last.finished_at:%H:%M} UTC; the next may begin at {until:%H:%M} UTC."


def moves_left(autopilot: Autopilot, now: datetime) -> int:
    """How many moves more it may begin in this hour."""
    begun = PlanAction.objects.filter(
        plan__site=autopilot.site,
        plan__approved_by__username=ACCOUNT,
        plan__approved_at__gt=now - timedelta(hours=1),
        kind=PlanAction.Kind.MOVE,
    ).exclude(state=PlanAction.State.DROPPED)
    return max(0, autopilot.moves_per_hour - begun.count())


def why_not_worth(autopilot: Autopilot, world: planner.DataCenter, answer: planner.Plan) -> str:
    """Why freeing these hosts does not pay; empty when it does. Moves and waking again cost energy."""
    if not answer.hosts_to_power_off:
        return "No host can be freed."
    if answer.saved_watts <= 0:
        return "Freeing hosts would save no power."
    hours = pays_back_hours(world, answer)
    if hours > autopilot.pays_back_hours:
        return (
            f"The moves and waking {_counted(len(answer.hosts_to_power_off))} again would be paid back only after"
            f" {hours:.1f} hours; {autopilot.pays_back_hours:g} is the most allowed."
        )
    return ""


def pays_back_hours(world: planner.DataCenter, answer: planner.Plan) -> float:
    """How long the freed hosts must be off to save the energy of the moves and of waking them again."""
    freed = [host for host in world.hosts if host.id in answer.hosts_to_power_off]
    waking_wh = sum(host.peak_watts * (host.wake_s or WAKE_S) for host in freed) / 3600
    return (answer.break_even_hours or 0.0) + waking_wh / answer.saved_watts


def _counted(count: int) -> str:
    return "a host" if count == 1 else f"{count} hosts"


def told(world: planner.DataCenter, answer: planner.Plan) -> str:
    """What the plan does, in a sentence."""
    names = {host.id: host.name for host in world.hosts}
    moves = f"{len(answer.moves)} move{'s' if len(answer.moves) != 1 else ''}"
    freed = [names[one] for one in answer.hosts_to_power_off]
    if not freed:
        return f"{moves}."
    return f"{', '.join(freed)} can be switched off after {moves}; that saves {answer.saved_watts:,.0f} W."
