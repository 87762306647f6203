"""Plans from request to approval. Filling them is `planning`'s, carrying them out `execution`'s."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.utils import timezone

from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.planner.compatibility import why_closed
from datacenter.planner.data import from_data
from datacenter.snapshot import changes_between, data_center_read, fingerprint, policy_of
from hosts.access import may
from hosts.audit import audit_write
from hosts.errors import Forbidden, Refused
from hosts.models import Host, Site
from hosts.publish import publish_change
from hosts.states import why_not

State = Plan.State
UNDECIDED = (State.PLANNING, State.PROPOSED)
GOOD_FOR = timedelta(hours=24)  # the demand that a plan was made with is older than that afterwards
CHANGES_TOLD = 3


def _require_operator(user: AbstractBaseUser, thing: Any) -> None:
    if not may(user, "operate", thing):
        raise Forbidden("Planning and carrying out plans is for operators. Ask an administrator for that role.")


@transaction.atomic
def plan_request(user: AbstractBaseUser, site: Site, *, evacuate: Host | None = None) -> Plan:
    """A new plan, PLANNING; the plan worker fills it. An earlier proposal of the site is rejected by it.

    With `evacuate` the plan empties that host and leaves it on. Raises Refused while a plan runs there.
    """
    if evacuate is not None and (reason := why_not(evacuate, "drain")):
        raise Refused(reason)
    plan = plan_open(user, site, {"evacuate": str(evacuate.pk)} if evacuate else {}, evacuate)
    planner_ring(plan)
    return plan


def plan_open(user: AbstractBaseUser, site: Site, document: dict[str, Any], evacuate: Host | None = None) -> Plan:
    """A new plan, PLANNING, that nobody has been asked to fill; as `plan_request` otherwise. Inside a transaction."""
    _require_operator(user, site)
    _refuse_while_running(site)
    Plan.objects.filter(site=site, state__in=UNDECIDED).update(
        state=State.REJECTED, reason="A newer plan was asked for.", finished_at=timezone.now()
    )
    plan = Plan.objects.create(site=site, requested_by_name=user.get_username(), document=document)
    audit_write(user, "plan_request", "plan", plan.pk, str(site), evacuate=evacuate.name if evacuate else None)
    publish_change("plan", plan.pk, "requested")
    return plan


def planner_ring(plan: Plan) -> None:
    """Asks a plan worker to fill the plan, once the transaction is over."""
    ring = partial(current_app.send_task, "datacenter.plan.make", args=[str(plan.pk)], queue="plan", expires=120)
    transaction.on_commit(ring, robust=True)


def _refuse_while_running(site: Site) -> None:
    """A stopped plan counts as running until its last act has ended."""
    if Plan.objects.filter(site=site, state__in=[State.RUNNING, State.STOPPED], finished_at=None).exists():
        raise Refused(f"A plan of {site} is being carried out. Wait for its end, or stop it first.")


def answer_of(plan: Plan) -> planner.Plan | None:
    """The planner's answer as kept in the plan; None while there is none."""
    data = plan.document.get("plan")
    return from_data(planner.Plan, data) if data else None


def world_of(plan: Plan) -> planner.DataCenter | None:
    """The data center that the plan was made for."""
    data = plan.document.get("world")
    return from_data(planner.DataCenter, data) if data else None


def plan_approve(user: AbstractBaseUser, plan: Plan) -> Plan:
    """Sets the plan going. Raises Refused when it is too old, or the world has changed since it was made."""
    _require_operator(user, plan)
    try:
        _approve(user, plan)
    except IntegrityError as error:
        raise Refused(f"Another plan of {plan.site} was approved at this moment. Reload the page.") from error
    plan.refresh_from_db()
    return plan


@transaction.atomic
def _approve(user: AbstractBaseUser, plan: Plan) -> None:
    plan.refresh_from_db()
    if plan.state != State.PROPOSED:
        raise Refused(f"Only a proposed plan can be approved; this one is {plan.get_state_display()}.")
    _refuse_while_running(plan.site)
    if reason := why_not_approved_by(user, plan):
        raise Refused(reason)
    if not plan.actions.exists():
        raise Refused("This plan changes nothing, so there is nothing to approve.")
    now = timezone.now()
    if now - plan.created_at > GOOD_FOR:
        raise Refused("This plan is older than a day, and what it was measured on too. Ask for a new plan.")
    if sentences := changes_since(plan):
        raise Refused(f"The data center has changed since this plan was made: {told(sentences)} Ask for a new plan.")
    changed = Plan.objects.filter(pk=plan.pk, state=State.PROPOSED).update(
        state=State.RUNNING, approved_by=user, approved_at=now
    )
    if not changed:
        raise Refused("Somebody else was faster: the plan is no longer a proposal. Reload the page.")
    audit_write(user, "plan_approve", "plan", plan.pk, str(plan.site))
    publish_change("plan", plan.pk, "approved")
    ring = partial(current_app.send_task, "datacenter.plan_advance", args=[str(plan.pk)], queue="control")
    transaction.on_commit(ring, robust=True)


def why_not_approved_by(user: AbstractBaseUser, plan: Plan) -> str | None:
    """None, or why somebody else must approve the plan."""
    if plan.requested_by_name == user.get_username() and policy_of(plan.site).two_people:
        return (
            f"The policy of {plan.site} asks for two people: you asked for this plan, so somebody else must approve it."
        )
    return None


def changes_since(plan: Plan) -> list[str]:
    """What has happened since the plan was made that it does not know of, a sentence each."""
    planned, now = world_of(plan), data_center_read(plan.site, timezone.now())
    if planned is None:
        return ["Nobody knows what it was made for."]
    if fingerprint(now) != plan.world_fingerprint:
        return changes_between(planned, now) or ["The rules of the plan's making have changed."]
    return _obstacles(plan, now)


def _obstacles(plan: Plan, now: planner.DataCenter) -> list[str]:
    """What stands in the way of the plan's own moves just now."""
    hosts = {host.id: host for host in now.hosts}
    workloads = {row.id: row for row in now.workloads}
    sentences = []
    wakes = set(plan.actions.filter(kind=PlanAction.Kind.POWER_ON).values_list("source_id", flat=True))
    for action in plan.actions.filter(kind=PlanAction.Kind.MOVE):
        target, workload = hosts.get(str(action.target_id)), workloads.get(str(action.workload_id))
        if target is None or workload is None:
            sentences.append(f"{action.workload_name} or its target is gone.")
        elif (closed := why_closed(target)) and action.target_id not in wakes:
            sentences.append(f"{closed}.")
        elif reason := workload.why_fixed:
            sentences.append(f"{reason.rstrip('.')}.")
    return list(dict.fromkeys(sentences))


def told(sentences: list[str]) -> str:
    """The first few of the sentences, and how many more there are."""
    more = len(sentences) - CHANGES_TOLD
    return " ".join(sentences[:CHANGES_TOLD]) + (f" And {more} more." if more > 0 else "")


@transaction.atomic
def plan_reject(user: AbstractBaseUser, plan: Plan) -> None:
    """Puts a proposal aside."""
    _require_operator(user, plan)
    _change(
        plan, UNDECIDED, state=State.REJECTED, reason=f"Rejected by {user.get_username()}.", finished_at=timezone.now()
    )
    audit_write(user, "plan_reject", "plan", plan.pk, str(plan.site))


@transaction.atomic
def plan_settle(user: AbstractBaseUser, plan: Plan) -> None:
    """Ends the search for a plan that is being made: it becomes a proposal with the best found so far."""
    _require_operator(user, plan)
    _change(plan, (State.PLANNING,), is_search_ended=True)
    audit_write(user, "plan_settle", "plan", plan.pk, str(plan.site))


@transaction.atomic
def plan_stop(user: AbstractBaseUser, plan: Plan) -> None:
    """Starts nothing more of a running plan; what is under way ends by itself."""
    _require_operator(user, plan)
    _change(plan, (State.RUNNING,), state=State.STOPPED, reason=f"Stopped by {user.get_username()}.")
    PlanAction.objects.filter(plan=plan, state=PlanAction.State.WAITING).update(
        state=PlanAction.State.DROPPED, sentence="The plan was stopped."
    )
    audit_write(user, "plan_stop", "plan", plan.pk, str(plan.site))
    ring = partial(current_app.send_task, "datacenter.plan_advance", args=[str(plan.pk)], queue="control")
    transaction.on_commit(ring, robust=True)


@transaction.atomic
def plan_pause(user: AbstractBaseUser, plan: Plan) -> None:
    """Begins no further act of a running plan until it is resumed; what is under way goes on to its end."""
    _require_operator(user, plan)
    if plan.paused_at is not None:
        raise Refused("The plan is paused already.")
    _change(plan, (State.RUNNING,), paused_at=timezone.now(), paused_by_name=user.get_username())
    audit_write(user, "plan_pause", "plan", plan.pk, str(plan.site))


@transaction.atomic
def plan_resume(user: AbstractBaseUser, plan: Plan) -> None:
    """Goes on with a paused plan. Each act is checked against the world as it is before it begins, as always."""
    _require_operator(user, plan)
    if plan.paused_at is None:
        raise Refused("The plan is not paused.")
    _change(plan, (State.RUNNING,), paused_at=None, paused_by_name="")
    audit_write(user, "plan_resume", "plan", plan.pk, str(plan.site))
    ring = partial(current_app.send_task, "datacenter.plan_advance", args=[str(plan.pk)], queue="control")
    transaction.on_commit(ring, robust=True)


def _change(plan: Plan, allowed: tuple[State, ...], **values: Any) -> None:
    """The conditional update behind a decision; raises Refused when the plan is past it."""
    changed = Plan.objects.filter(pk=plan.pk, state__in=allowed).update(**values)
    plan.refresh_from_db()
    if not changed:
        raise Refused(f"That can't be done to a plan that is {plan.get_state_display()}.")
    publish_change("plan", plan.pk, str(plan.state))
