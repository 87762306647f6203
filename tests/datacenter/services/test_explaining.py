"""What would free the hosts that a plan leaves on, with the real planner."""

from __future__ import annotations

import itertools

import pytest

from datacenter.models import Plan
from datacenter.services.explaining import SECONDS_MOST, plan_explain
from datacenter.services.planning import plan_make
from datacenter.services.plans import plan_reject, plan_request
from tests.datacenter.world import a_host, a_site, a_user, a_vm

pytestmark = pytest.mark.django_db


def a_proposal() -> Plan:
    """Two hosts with a pinned VM each, so that both stay on."""
    a_vm("north", a_host("alpha"), is_pinned=True, pin_reason="its licence")
    a_vm("south", a_host("beta"), is_pinned=True, pin_reason="its licence")
    plan = plan_request(a_user(), a_site())
    plan_make(plan, {})
    plan.refresh_from_db()
    assert plan.state == Plan.State.PROPOSED
    return plan


def test_each_host_that_stays_is_told_what_would_free_it():
    plan = a_proposal()

    plan_explain(plan)

    plan.refresh_from_db()
    assert sorted(plan.changes_that_free.values()) == [
        "Unpin north, and alpha can be freed.",
        "Unpin south, and beta can be freed.",
    ]


def test_nobody_is_told_about_a_plan_that_was_put_aside_meanwhile():
    plan = a_proposal()
    plan_reject(a_user(), plan)

    plan_explain(plan)

    plan.refresh_from_db()
    assert plan.changes_that_free == {}


def test_explaining_ends_when_its_time_is_up():
    plan = a_proposal()
    clock = itertools.count(0, SECONDS_MOST)

    plan_explain(plan, lambda: float(next(clock)))

    plan.refresh_from_db()
    assert len(plan.changes_that_free) == 1


def test_a_plan_that_waits_to_be_made_is_not_kept_waiting():
    plan = a_proposal()
    plan_request(a_user(), a_site("munich"))

    plan_explain(plan)

    plan.refresh_from_db()
    assert plan.changes_that_free == {}
