"""A plan from request over proposal to approval, with the real planner."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.models import Plan, PlanAction
from datacenter.services.planning import plan_make, plans_unplanned, watch_of
from datacenter.services.plans import (
    answer_of,
    plan_approve,
    plan_reject,
    plan_request,
    plan_settle,
    plan_stop,
    world_of,
)
from hosts.errors import Forbidden, Refused
from hosts.models import AuditRecord, Host, Operation
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


def a_sprawled_site() -> dict[str, Host]:
    """Three hosts with one small VM each: two can be freed."""
    hosts = {name: a_host(name) for name in ("alpha", "beta", "gamma")}
    for name, host in hosts.items():
        a_vm(f"web-{name}", host)
    return hosts


def a_proposal(**request: Host) -> Plan:
    plan = plan_request(a_user(), a_site(), **request)
    plan_make(plan, {})
    plan.refresh_from_db()
    return plan


def test_a_proposal_has_moves_power_offs_after_them_savings_and_what_it_was_made_for():
    a_sprawled_site()

    plan = a_proposal()

    moves = list(plan.actions.filter(kind="move"))
    offs = list(plan.actions.filter(kind="power_off"))
    assert (plan.state, plan.hosts_on_before, plan.hosts_on_after) == ("proposed", 3, 1)
    assert (len(moves), len(offs)) == (2, 2)
    for off in offs:
        assert off.after == [move.number for move in moves if move.source == off.source]
    assert plan.savings["saved_watts"] > 0
    assert plan.savings["before_watts"] > plan.savings["after_watts"]
    assert "PUE" in plan.savings["how"]
    assert answer_of(plan).hosts_on_after == 1
    assert len(world_of(plan).workloads) == 3


def test_a_site_without_hosts_fails_with_a_sentence():
    plan = a_proposal()

    assert (plan.state, plan.reason) == ("failed", "berlin has no enrolled host. Enrol one first.")


def test_a_host_of_unknown_size_fails_the_plan_with_a_sentence():
    a_host("alpha", memory_mib=0)

    plan = a_proposal()

    assert plan.state == "failed"
    assert "alpha has no CPU or memory capacity" in plan.reason


def test_a_plan_to_empty_a_host_moves_its_work_and_leaves_it_on():
    hosts = a_sprawled_site()

    plan = a_proposal(evacuate=hosts["alpha"])

    assert [(action.kind, action.source) for action in plan.actions.all()] == [("move", hosts["alpha"])]


def test_a_plan_is_made_while_a_move_is_under_way_and_counts_it_on_both_hosts():
    hosts = a_sprawled_site()
    vm = Workload.objects.get(name="web-alpha")
    Operation.objects.create(
        kind="migrate_vm", subject_kind="vm", subject_id=str(vm.pk), subject_name=vm.name, target_host=hosts["beta"]
    )

    plan = a_proposal()

    assert plan.state == "proposed"
    kept = {row["host"]: row["sentence"] for row in plan.document["plan"]["hosts_kept"]}
    assert "web-alpha is on its way to beta" in kept[str(hosts["beta"].pk)]


def test_a_newer_request_rejects_the_proposal_before_it():
    a_sprawled_site()
    first = a_proposal()

    second = a_proposal()

    first.refresh_from_db()
    assert (first.state, second.state) == ("rejected", "proposed")


def test_a_planner_that_comes_late_does_not_fill_a_rejected_plan():
    a_sprawled_site()
    user = a_user()
    plan = plan_request(user, a_site())
    plan_reject(user, plan)

    plan_make(plan, {})

    plan.refresh_from_db()
    assert plan.state == "rejected"
    assert not PlanAction.objects.exists()


def test_a_plan_that_no_worker_takes_up_fails_after_ten_minutes():
    plan = plan_request(a_user(), a_site())
    assert plans_unplanned() == []

    Plan.objects.update(created_at=timezone.now() - timedelta(seconds=20))
    assert plans_unplanned() == [plan.pk]

    Plan.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    assert plans_unplanned() == []
    plan.refresh_from_db()
    assert (plan.state, "plan worker" in plan.reason) == ("failed", True)


def test_approving_sets_it_running_and_is_in_the_audit():
    a_sprawled_site()
    user, plan = a_user(), a_proposal()

    plan_approve(user, plan)

    assert (plan.state, plan.approved_by) == ("running", user)
    assert AuditRecord.objects.filter(verb="plan_approve", user=user).exists()


@pytest.mark.parametrize("role", ["viewer", "stranger"])
def test_only_operators_ask_approve_reject_and_stop(role: str):
    a_sprawled_site()
    plan, user = a_proposal(), a_user(role)

    for forbidden in (
        lambda: plan_request(user, a_site()),
        lambda: plan_approve(user, plan),
        lambda: plan_reject(user, plan),
        lambda: plan_stop(user, plan),
    ):
        with pytest.raises(Forbidden):
            forbidden()


def test_a_plan_older_than_the_world_is_refused_and_says_what_changed():
    hosts = a_sprawled_site()
    plan = a_proposal()
    Workload.objects.filter(name="web-alpha").update(host=hosts["beta"])

    with pytest.raises(Refused, match=r"web-alpha is on beta now, no longer on alpha\. Ask for a new plan\."):
        plan_approve(a_user(), plan)


def test_a_target_that_is_closed_now_is_refused_by_its_name():
    hosts = a_sprawled_site()
    plan = a_proposal()
    target = plan.actions.filter(kind="move").first().target
    Host.objects.filter(pk=target.pk).update(is_cordoned=True)

    with pytest.raises(Refused, match=f"{target.name} is closed"):
        plan_approve(a_user(), plan)
    assert hosts


def test_a_plan_older_than_a_day_is_refused():
    a_sprawled_site()
    plan = a_proposal()
    Plan.objects.update(created_at=timezone.now() - timedelta(hours=25))

    with pytest.raises(Refused, match="older than a day"):
        plan_approve(a_user(), plan)


def test_a_plan_that_changes_nothing_cannot_be_approved():
    a_vm("web", a_host("alpha"))

    with pytest.raises(Refused, match="changes nothing"):
        plan_approve(a_user(), a_proposal())


def test_while_one_runs_no_other_is_planned_or_approved():
    a_sprawled_site()
    user, plan = a_user(), a_proposal()
    plan_approve(user, plan)

    with pytest.raises(Refused, match="is being carried out"):
        plan_request(user, a_site())
    with pytest.raises(Refused, match="Only a proposed plan"):
        plan_approve(user, plan)


def test_two_running_plans_of_one_site_are_impossible_in_the_database():
    a_sprawled_site()
    plan = a_proposal()
    Plan.objects.create(site=plan.site, state="running", finished_at=timezone.now(), requested_by_name="x")

    with pytest.raises(Refused, match="approved at this moment"):
        plan_approve(a_user(), plan)


def test_stopping_drops_what_has_not_begun():
    a_sprawled_site()
    user, plan = a_user(), a_proposal()
    plan_approve(user, plan)

    plan_stop(user, plan)

    assert (plan.state, plan.reason) == ("stopped", f"Stopped by {user.username}.")
    assert set(plan.actions.values_list("state", flat=True)) == {"dropped"}


def test_a_decided_plan_cannot_be_decided_again():
    a_sprawled_site()
    user, plan = a_user(), a_proposal()
    plan_reject(user, plan)

    with pytest.raises(Refused, match="rejected"):
        plan_reject(user, plan)
    with pytest.raises(Refused, match="rejected"):
        plan_stop(user, plan)


def test_a_plan_in_the_making_tells_the_best_so_far_and_ends_its_search_when_it_is_asked_to():
    a_sprawled_site()
    plan = plan_request(a_user(), a_site())
    watch = watch_of(plan, clock=itertools.count().__next__)

    assert watch.tell is not None
    watch.tell(2, 1)
    plan.refresh_from_db()
    assert (plan.best_so_far, watch.is_over()) == ({"hosts_on": 2, "least": 1}, False)

    plan_settle(a_user(), plan)
    assert watch.is_over()


def test_a_plan_whose_search_was_ended_early_is_a_proposal_that_holds():
    a_sprawled_site()
    plan = plan_request(a_user(), a_site())
    plan_settle(a_user(), plan)

    plan_make(plan, {})

    plan.refresh_from_db()
    assert plan.state == "proposed"


def test_a_plan_that_is_made_has_no_search_to_end():
    a_sprawled_site()

    with pytest.raises(Refused):
        plan_settle(a_user(), a_proposal())
