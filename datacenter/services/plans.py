"""Plans from request to approval. Carrying out is `execution`'s."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import current_app
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.utils import timezone

from datacenter.models import Plan, PlanAction
from datacenter.planner import model as planner
from datacenter.planner.data import from_data
from datacenter.snapshot import data_center_read, fingerprint
from hosts.access import may
from hosts.audit import audit_write
from hosts.errors import Forbidden, Refused
from hosts.models import Host, Site
from hosts.publish import publish_change

State = Plan.State
OPEN_STATES = (State.PLANNING, State.PROPOSED, State.RUNNING)


def _require_operator(user: AbstractBaseUser, thing: Any) -> None:
    if not may(user, "operate", thing):
        raise Forbidden("Planning and carrying out plans is for operators. Ask an administrator for that role.")


@transaction.atomic
def plan_request(user: AbstractBaseUser, site: Site, *, evacuate: Host | None = None) -> Plan:
    """A new plan, PLANNING; the plan worker fills it. An earlier proposal of the site is rejected by it.

    With `evacuate` the plan empties that host and leaves it on. Raises Refused while a plan runs there.
    """
    _require_operator(user, site)
    if running := Plan.objects.filter(site=site, state=State.RUNNING).first():
        raise Refused(f"A plan of {site} is being carried out. Wait for its end, or stop it first.", str(running.pk))
    Plan.objects.filter(site=site, state__in=[State.PROPOSED, State.PLANNING]).update(
        state=State.REJECTED, reason="A newer plan was asked for.", finished_at=timezone.now()
    )
    plan = Plan.objects.create(
        site=site,
        requested_by_name=user.get_username(),
        document={"evacuate": str(evacuate.pk)} if evacuate else {},
    )
    audit_write(user, "plan_request", "plan", plan.pk, str(site), evacuate=evacuate.name if evacuate else None)
    publish_change("plan", plan.pk, "requested")
    transaction.on_commit(partial(_ring_planner, str(plan.pk)), robust=True)
    return plan


def _ring_planner(plan_id: str) -> None:
    current_app.send_task("datacenter.plan.make", args=[plan_id], queue="plan", expires=120)


def answer_of(plan: Plan) -> planner.Plan | None:
    """The planner's answer as kept in the plan; None while there is none."""
    data = plan.document.get("plan")
    return from_data(planner.Plan, data) if data else None


def world_of(plan: Plan) -> planner.DataCenter | None:
    """The data center that the plan was made for."""
    data = plan.document.get("world")
    return from_data(planner.DataCenter, data) if data else None


@transaction.atomic
def plan_approve(user: AbstractBaseUser, plan: Plan) -> Plan:
    """Sets the plan going. Raises Refused when the world has changed since it was made."""
    _require_operator(user, plan)
    if plan.state != State.PROPOSED:
        raise Refused(f"Only a proposed plan can be approved; this one is {plan.get_state_display()}.")
    now = timezone.now()
    if fingerprint(data_center_read(plan.site, now)) != plan.world_fingerprint:
        raise Refused(
            "The data center has changed since this plan was made (a host, a placement, an allocation or a rule). "
            "Ask for a new plan."
        )
    if Plan.objects.filter(site=plan.site, state=State.RUNNING).exists():
        raise Refused(f"Another plan of {plan.site} is being carried out. Wait for its end, or stop it first.")
    changed = Plan.objects.filter(pk=plan.pk, state=State.PROPOSED).update(
        state=State.RUNNING, approved_by=user, approved_at=now
    )
    if not changed:
        raise Refused("Somebody else was faster: the plan is no longer a proposal. Reload the page.")
    audit_write(user, "plan_approve", "plan", plan.pk, str(plan.site))
    advance = partial(current_app.send_task, "datacenter.plan_advance", args=[str(plan.pk)], queue="control")
    transaction.on_commit(advance, robust=True)
    publish_change("plan", plan.pk, "approved")
    plan.refresh_from_db()
    return plan


def plan_reject(user: AbstractBaseUser, plan: Plan) -> None:
    """Puts a proposal aside."""
    _require_operator(user, plan)
    _end(
        user,
        plan,
        [State.PROPOSED, State.PLANNING],
        State.REJECTED,
        f"Rejected by {user.get_username()}.",
        "plan_reject",
    )


def plan_stop(user: AbstractBaseUser, plan: Plan) -> None:
    """Starts nothing more of a running plan; what is under way ends by itself."""
    _require_operator(user, plan)
    _end(user, plan, [State.RUNNING], State.STOPPED, f"Stopped by {user.get_username()}.", "plan_stop")
    PlanAction.objects.filter(plan=plan, state=PlanAction.State.WAITING).update(
        state=PlanAction.State.DROPPED, sentence="The plan was stopped."
    )


@transaction.atomic
def _end(user: AbstractBaseUser, plan: Plan, allowed: list[str], state: str, reason: str, verb: str) -> None:
    changed = Plan.objects.filter(pk=plan.pk, state__in=allowed).update(
        state=state, reason=reason, finished_at=timezone.now()
    )
    if not changed:
        plan.refresh_from_db()
        raise Refused(f"That can't be done to a plan that is {plan.get_state_display()}.")
    audit_write(user, verb, "plan", plan.pk, str(plan.site))
    publish_change("plan", plan.pk, state)
    plan.refresh_from_db()
