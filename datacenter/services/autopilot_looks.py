"""The autopilot's looks, in the plan worker: judged anew each time from what is true, never from what it did last.

First hosts that have too much to do, then hours in which the work is spread, then hosts that could be freed. Each look
leaves a decision with its reason. Two looks at once: one of them finds the time moved on, and goes. decisions/0029.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from datacenter import planner as engine
from datacenter.hours import FROZEN, SPREAD, open_kinds, why_not_packed, windows_read
from datacenter.metrics.demand import Demand
from datacenter.models import Autopilot, AutopilotDecision, Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.services import foreseeing
from datacenter.services.autopilot import ACCOUNT, autopilot_account
from datacenter.services.autopilot_gates import (
    moves_left,
    not_waking,
    pays_back_hours,
    told,
    why_a_person_decides,
    why_not_now,
    why_not_worth,
    why_too_soon,
)
from datacenter.services.planning import proposal_propose
from datacenter.services.plans import GOOD_FOR, changes_since, plan_approve, plan_reject, plan_stop
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts import services as host_services
from hosts.errors import StowageError
from hosts.models import Host, Wake
from hosts.publish import publish_change

log = logging.getLogger(__name__)

LOOK_EVERY = timedelta(seconds=10)
PACK_EVERY = timedelta(minutes=5)
RELIEF_GOOD_FOR = timedelta(minutes=15)  # by then the load is another
CHANGED = "Its settings were changed while it looked, so nothing was begun."
KEPT_FOR = timedelta(days=90)
Mode, Goal, Outcome = Autopilot.Mode, AutopilotDecision.Goal, AutopilotDecision.Outcome
DemandRead = Callable[[Autopilot], Mapping[str, Demand]]
Said = tuple[str, str, str, Plan | None]  # goal, outcome, sentence, plan


def decisions_forget(now: datetime) -> int:
    """Removes decisions that were last repeated over 90 days ago; how many. Plans and operations stay."""
    count, _ = AutopilotDecision.objects.filter(last_at__lt=now - KEPT_FOR).delete()
    return count


def autopilots_look(now: datetime, usual: DemandRead, lately: DemandRead) -> None:
    """A look at every site whose autopilot is on. `usual` is the demand to pack by, `lately` that of some minutes."""
    for autopilot in Autopilot.objects.select_related("site").exclude(packing=Mode.OFF, relief=Mode.OFF):
        if _claim(autopilot, now):
            try:
                said = _look(autopilot, now, usual, lately)
            except StowageError as error:
                said = (Goal.ANY, Outcome.FAILED, error.message, None)
            _note(autopilot, said, now)


def _claim(autopilot: Autopilot, now: datetime) -> bool:
    if autopilot.looked_at is not None and now - autopilot.looked_at < LOOK_EVERY:
        return False
    rows = Autopilot.objects.filter(pk=autopilot.pk, looked_at=autopilot.looked_at)
    return bool(rows.update(looked_at=now))


def _look(autopilot: Autopilot, now: datetime, usual: DemandRead, lately: DemandRead) -> Said:
    windows = windows_read(autopilot.windows)
    local = now.astimezone(ZoneInfo(autopilot.time_zone))
    opened = open_kinds(windows, local)
    if FROZEN in opened:
        return _freeze(autopilot)
    if sentence := why_not_now(autopilot, now):
        return Goal.ANY, Outcome.WAITS, sentence, None
    decides, waiting = why_a_person_decides(autopilot, now), _own_proposal(autopilot, now)
    if waiting is not None and waiting[0] == Goal.RELIEVE:
        return waiting
    # what is too hot does not wait for a decision on something else
    may_relieve = autopilot.relief == Mode.AUTOMATIC or (autopilot.relief != Mode.OFF and not decides)
    if may_relieve and (said := _relieve(autopilot, now, lately) or _foresee(autopilot, now)) is not None:
        return said
    if decides or waiting is not None:
        return waiting or (Goal.ANY, Outcome.WAITS, decides, None)
    if autopilot.packing == Mode.OFF:
        return Goal.RELIEVE, Outcome.NOTHING, "No host has more to do than its policy allows.", None
    if SPREAD in opened:
        return _spread(autopilot, now, usual)
    if sentence := why_not_packed(windows, local) or why_too_soon(autopilot, now):
        return Goal.PACK, Outcome.WAITS, sentence, None
    return _pack(autopilot, now, usual)


def _freeze(autopilot: Autopilot) -> Said:
    """Nothing is begun, and nothing more of its own plan under way."""
    running = Plan.objects.filter(site=autopilot.site, state=Plan.State.RUNNING, approved_by__username=ACCOUNT).first()
    if running is None:
        return Goal.ANY, Outcome.WAITS, "It is a frozen hour: nothing moves.", None
    plan_stop(autopilot_account(), running)
    return Goal.ANY, Outcome.STOPPED, "A frozen hour began: the plan ends with the moves under way.", running


def _own_proposal(autopilot: Autopilot, now: datetime) -> Said | None:
    """Its proposal that waits for a person; one that is too old, or left behind by the world, is put aside."""
    plan = Plan.objects.filter(site=autopilot.site, state=Plan.State.PROPOSED, requested_by_name=ACCOUNT).first()
    if plan is None:
        return None
    goal = str(plan.document.get("autopilot") or Goal.PACK)
    mode = autopilot.mode_for(goal)
    is_old = now - plan.created_at > (RELIEF_GOOD_FOR if goal == Goal.RELIEVE else GOOD_FOR)
    if is_old or mode in (Mode.OFF, Mode.AUTOMATIC) or changes_since(plan):
        plan_reject(autopilot_account(), plan)
        return None
    outcome = Outcome.ASKED if mode == Mode.APPROVE else Outcome.RECOMMENDED
    return goal, outcome, str(plan.document.get("autopilot_said") or "A plan waits."), plan


def _relieve(autopilot: Autopilot, now: datetime, lately: DemandRead) -> Said | None:
    """What is done about hosts that have had too much to do for long enough; None when there are none."""
    world = data_center_read(autopilot.site, now, lately(autopilot))
    policy = planner_policy(policy_of(autopilot.site))
    answer = engine.relieve(world, policy)
    if not answer.moves and not answer.refusals:
        Autopilot.objects.filter(pk=autopilot.pk).exclude(overloaded_since=None).update(overloaded_since=None)
        return None
    since = autopilot.overloaded_since or now
    if autopilot.overloaded_since is None:
        Autopilot.objects.filter(pk=autopilot.pk).update(overloaded_since=now)
    left_s = autopilot.overloaded_for_s - (now - since).total_seconds()
    if left_s > 0:
        sentence = f"A host has more to do than its policy allows, since {since:%H:%M:%S} UTC. It may pass by itself."
        return Goal.RELIEVE, Outcome.WAITS, sentence, None
    may_wake = bool(answer.refusals) and autopilot.relief == Mode.AUTOMATIC
    if may_wake and (host_id := engine.host_to_wake(_without_failed(autopilot, world, now), policy)):
        return _wake(autopilot, Goal.RELIEVE, Host.objects.get(pk=host_id), answer.refusals[0])
    if not answer.moves:
        return Goal.RELIEVE, Outcome.FAILED, answer.refusals[0], None
    most = moves_left(autopilot, now)
    if len(answer.moves) > most:
        return Goal.RELIEVE, Outcome.WAITS, _too_many(autopilot, len(answer.moves)), None
    sentence = f"A host has more to do than its policy allows: {told(world, answer)}"
    return _act(autopilot, Goal.RELIEVE, world, answer, sentence)


def _foresee(autopilot: Autopilot, now: datetime) -> Said | None:
    """A host that the coming hours will need is woken before; without the right to, it is only said."""
    if autopilot.foresaw_at is not None and now - autopilot.foresaw_at < PACK_EVERY:
        return None
    Autopilot.objects.filter(pk=autopilot.pk).update(foresaw_at=now)
    policy = planner_policy(policy_of(autopilot.site))
    world = _without_failed(autopilot, data_center_read(autopilot.site, now), now)
    why = foreseeing.why_more_needed(world, policy, now, foreseeing.AHEAD_HOURS)
    host_id = foreseeing.host_to_wake(world, policy, now, foreseeing.AHEAD_HOURS) if why else ""
    if not host_id:
        return None
    host, why = Host.objects.get(pk=host_id), f"by what is usual within an hour, {why}"
    if autopilot.relief == Mode.AUTOMATIC:
        return _wake(autopilot, Goal.RELIEVE, host, why)
    return Goal.RELIEVE, Outcome.RECOMMENDED, f"{host.name} should be woken: {why}", None


def _without_failed(autopilot: Autopilot, world: planner.DataCenter, now: datetime) -> planner.DataCenter:
    """Hosts that have just failed to wake take no work there."""
    failed = {str(pk) for pk in not_waking(autopilot.site, now)}
    hosts = (replace(host, accepts_work=host.accepts_work and host.id not in failed) for host in world.hosts)
    return replace(world, hosts=tuple(hosts))


@transaction.atomic
def _wake(autopilot: Autopilot, goal: str, host: Host, why: str) -> Said:
    """Switches the host on, unless somebody stopped the autopilot in the meantime."""
    if not _is_still(autopilot, goal):
        return goal, Outcome.WAITS, CHANGED, None
    host_services.host_power_on(autopilot_account(), host, origin=Wake.Origin.PLAN)
    return goal, Outcome.WOKE, f"{host.name} is woken: {why}", None


def _is_still(autopilot: Autopilot, goal: str) -> bool:
    """Whether it may still do this by itself. Until the transaction ends, whoever stops it waits."""
    field = "relief" if goal == Goal.RELIEVE else "packing"
    rows = Autopilot.objects.select_for_update().filter(pk=autopilot.pk, **{field: Mode.AUTOMATIC})
    return bool(list(rows))


def _spread(autopilot: Autopilot, now: datetime, usual: DemandRead) -> Said:
    """Hosts that it switched off are woken, one look after the other; then the load is evened out."""
    if autopilot.packing == Mode.AUTOMATIC and (host := _freed_by_itself(autopilot, now)) is not None:
        return _wake(autopilot, Goal.SPREAD, host, "it is an hour in which the work is spread.")
    if _looked_lately(autopilot, now):
        return Goal.SPREAD, Outcome.NOTHING, "", None  # what it found then still stands
    world = data_center_read(autopilot.site, now, usual(autopilot))
    policy = planner_policy(policy_of(autopilot.site))
    most = moves_left(autopilot, now)
    limit = most if policy.max_moves is None else min(policy.max_moves, most)
    answer = engine.balance(world, replace(policy, max_moves=limit)) if limit else None
    if answer is None or not answer.moves:
        return Goal.SPREAD, Outcome.NOTHING, "The load is as even as it can be.", None
    sentence = f"The work is spread for the day: {told(world, answer)}"
    return _act(autopilot, Goal.SPREAD, world, answer, sentence)


def _freed_by_itself(autopilot: Autopilot, now: datetime) -> Host | None:
    """A host that is off because a plan of its own switched it off, and that has not just failed to wake."""
    offs = PlanAction.objects.filter(
        plan__site=autopilot.site,
        plan__approved_by__username=ACCOUNT,
        kind=PlanAction.Kind.POWER_OFF,
        state=PlanAction.State.DONE,
        source__power=Host.Power.OFF,
        source__is_in_maintenance=False,
        source__job=None,
        source__quarantined_at=None,
    )
    offs = offs.exclude(source__in=not_waking(autopilot.site, now))
    action = offs.select_related("source__bmc", "source__rack__site").order_by("source__name").first()
    return action.source if action else None


def _looked_lately(autopilot: Autopilot, now: datetime) -> bool:
    """Whether the last time was only just; otherwise notes this time."""
    if autopilot.packed_at is not None and now - autopilot.packed_at < PACK_EVERY:
        return True
    Autopilot.objects.filter(pk=autopilot.pk).update(packed_at=now)
    return False


def _pack(autopilot: Autopilot, now: datetime, usual: DemandRead) -> Said:
    if _looked_lately(autopilot, now):
        return Goal.PACK, Outcome.NOTHING, "", None  # what it found then still stands
    is_automatic = autopilot.packing == Mode.AUTOMATIC
    world = data_center_read(autopilot.site, now, usual(autopilot), is_automatic=is_automatic)
    policy = planner_policy(policy_of(autopilot.site))
    most = moves_left(autopilot, now)
    if not most:
        return Goal.PACK, Outcome.WAITS, _too_many(autopilot, 1), None
    limit = most if policy.max_moves is None else min(policy.max_moves, most)
    answer = engine.plan(world, replace(policy, max_moves=limit))
    sentence = why_not_worth(autopilot, world, answer) or foreseeing.why_needed_soon(
        world, policy, answer, now, pays_back_hours(world, answer)
    )
    if sentence:
        return Goal.PACK, Outcome.NOTHING, sentence, None
    return _act(autopilot, Goal.PACK, world, answer, told(world, answer))


def _too_many(autopilot: Autopilot, wanted: int) -> str:
    return (
        f"{wanted} move{'s' if wanted != 1 else ''} more would pass the {autopilot.moves_per_hour} that are allowed"
        " in an hour."
    )


def _act(autopilot: Autopilot, goal: str, world: planner.DataCenter, answer: planner.Plan, sentence: str) -> Said:
    """The answer as a proposal, and by mode at once under way."""
    account, mode = autopilot_account(), autopilot.mode_for(goal)
    noted = {"autopilot": goal, "autopilot_said": sentence}
    plan = proposal_propose(account, autopilot.site, world, answer, noted)
    if mode == Mode.AUTOMATIC:
        with transaction.atomic():
            if _is_still(autopilot, goal):
                plan_approve(account, plan)
                return goal, Outcome.BEGAN, sentence, plan
        plan_reject(account, plan)
        return goal, Outcome.WAITS, CHANGED, None
    return goal, Outcome.ASKED if mode == Mode.APPROVE else Outcome.RECOMMENDED, sentence, plan


@transaction.atomic
def _note(autopilot: Autopilot, said: Said, now: datetime) -> None:
    """Keeps the decision; the same again only moves the last one's time on."""
    goal, outcome, sentence, plan = said
    if not sentence:
        return
    rows = AutopilotDecision.objects.select_for_update().filter(site=autopilot.site)
    last = rows.order_by("-last_at", "-pk").first()
    same = last and (last.goal, last.outcome, last.sentence, last.plan_id) == (
        goal,
        outcome,
        sentence,
        plan.pk if plan else None,
    )
    if last is not None and same:
        AutopilotDecision.objects.filter(pk=last.pk).update(last_at=now, times=last.times + 1)
        return
    AutopilotDecision.objects.create(
        site=autopilot.site, goal=goal, outcome=outcome, sentence=sentence, plan=plan, first_at=now, last_at=now
    )
    log.info("autopilot of %s: %s", autopilot.site, sentence)
    publish_change("autopilot", autopilot.site.pk, outcome)
