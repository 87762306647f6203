"""A running plan: acts in order, checked before each, stopped by the first failure, healed by the sweep."""

from __future__ import annotations

import pytest
from django.utils import timezone

from datacenter.models import Plan, PlanAction, Policy
from datacenter.services.execution import plan_advance, plans_sweep
from datacenter.services.planning import plan_make
from datacenter.services.plans import plan_approve, plan_request, plan_stop
from hosts.models import Host, Operation, Wake
from hosts.operations.lease import lease_release
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan() -> Plan:
    """Two VMs on alpha and one on beta; approved: all go to gamma, which has the most."""
    alpha, beta, gamma = a_host("alpha"), a_host("beta"), a_host("gamma", bmc=False)
    a_vm("web-1", alpha)
    a_vm("web-2", alpha)
    a_vm("web-3", beta)
    a_vm("base", gamma, memory_mib=2048)
    Policy.objects.create(site=a_site(), moves_in_per_host=2, moves_out_per_host=1)
    user = a_user()
    plan = plan_request(user, a_site())
    plan_make(plan, {})
    return plan_approve(user, plan)


def states(plan: Plan) -> dict[str, str]:
    """State by workload name, or by "off <host>"."""
    rows = plan.actions.select_related("source")
    return {row.workload_name or f"off {row.source.name}": row.state for row in rows}


def end(operation: Operation, state: str = "done", message: str = "") -> None:
    """The operation ends as its engine would end it; a move done puts the workload on its target."""
    if state == "done" and operation.subject_kind == "vm":
        Workload.objects.filter(pk=operation.subject_id).update(host=operation.target_host)
    if state == "done" and operation.kind == "host_power_off":
        Host.objects.filter(pk=operation.subject_id).update(power="off", desired_power="off")
    Operation.objects.filter(pk=operation.pk).update(state=state, message=message)
    lease_release(operation)


def running(plan: Plan) -> list[Operation]:
    return [row.operation for row in plan.actions.filter(state="running").select_related("operation__target_host")]


def run_to_the_end(plan: Plan) -> None:
    for _ in range(10):
        plan_advance(plan.pk)
        for operation in running(plan):
            end(operation)


def test_moves_run_at_once_up_to_the_limits_of_each_host(plan: Plan):
    plan_advance(plan.pk)

    assert states(plan) == {
        "web-1": "running",
        "web-2": "waiting",  # one at a time leaves a host
        "web-3": "running",
        "off alpha": "waiting",
        "off beta": "waiting",
    }
    assert {operation.kind for operation in running(plan)} == {"migrate_vm"}
    assert {operation.requested_by for operation in running(plan)} == {plan.approved_by}


def test_a_host_is_switched_off_once_its_moves_are_done_and_the_plan_ends_done(plan: Plan):
    run_to_the_end(plan)

    plan.refresh_from_db()
    assert set(states(plan).values()) == {"done"}
    assert (plan.state, plan.finished_at is None) == ("done", False)
    assert Host.objects.get(name="alpha").power == "off"
    kinds = [row.operation.kind for row in plan.actions.order_by("operation__created_at")]
    assert kinds.count("host_power_off") == 2


def test_advancing_twice_starts_nothing_twice(plan: Plan):
    plan_advance(plan.pk)
    plan_advance(plan.pk)

    assert Operation.objects.count() == 2


@pytest.mark.parametrize("state", ["failed", "cancelled", "stuck"])
def test_a_move_that_fails_stops_the_plan_and_what_runs_may_end(plan: Plan, state: str):
    plan_advance(plan.pk)
    first, second = running(plan)
    end(first, state, "The host does not answer.")

    plan_advance(plan.pk)
    plan.refresh_from_db()
    assert plan.state == "stopped"
    assert plan.reason == f"The move of {first.subject_name} to gamma failed: The host does not answer."
    assert plan.finished_at is None
    assert sorted(states(plan).values()) == ["dropped", "dropped", "dropped", "failed", "running"]

    end(second)
    plan_advance(plan.pk)
    plan.refresh_from_db()
    assert plan.finished_at is not None
    assert states(plan)[second.subject_name] == "done"


def test_each_move_is_checked_against_the_world_as_it_is(plan: Plan):
    a_vm("newcomer", Host.objects.get(name="gamma"), memory_mib=4000)

    plan_advance(plan.pk)

    plan.refresh_from_db()
    assert plan.state == "stopped"
    assert "could not start: gamma has" in plan.reason
    assert "MiB of memory left under the policy" in plan.reason
    assert not Operation.objects.exists()


def test_a_workload_that_went_elsewhere_stops_the_plan(plan: Plan):
    Workload.objects.filter(name="web-1").update(host=Host.objects.get(name="beta"))

    plan_advance(plan.pk)

    plan.refresh_from_db()
    assert "web-1 is on beta now, no longer on alpha. Plan again." in plan.reason


def test_a_workload_that_was_pinned_meanwhile_is_not_moved(plan: Plan):
    Workload.objects.filter(name="web-1").update(is_pinned=True, pin_reason="licence")

    plan_advance(plan.pk)

    plan.refresh_from_db()
    assert "web-1 is pinned" in plan.reason


def test_a_bridge_that_is_missing_on_the_target_now_stops_the_plan(plan: Plan):
    Host.objects.filter(name="gamma").update(links=[])

    plan_advance(plan.pk)

    plan.refresh_from_db()
    assert "gamma has no bridge stw0" in plan.reason


def test_an_approver_who_lost_the_right_starts_nothing(plan: Plan):
    plan.approved_by.groups.clear()

    plan_advance(plan.pk)

    plan.refresh_from_db()
    assert (plan.state, Operation.objects.count()) == ("stopped", 0)


def test_a_stopped_plan_starts_nothing_more_and_rests_when_its_last_act_ends(plan: Plan):
    plan_advance(plan.pk)
    plan_stop(plan.approved_by, plan)
    for operation in running(plan):
        end(operation)

    plans_sweep()

    plan.refresh_from_db()
    assert (plan.state, plan.finished_at is None) == ("stopped", False)
    assert Operation.objects.count() == 2


def test_the_sweep_finds_what_a_lost_message_left_behind(plan: Plan):
    plans_sweep()
    for operation in running(plan):
        end(operation)

    plans_sweep()

    assert states(plan)["web-2"] == "running"


def test_two_executors_with_the_same_picture_start_an_act_once(plan: Plan, monkeypatch):
    from datacenter.services import execution

    original = execution._startable
    monkeypatch.setattr(execution, "_startable", lambda *_: list(PlanAction.objects.filter(plan=plan)[:1]))
    plan_advance(plan.pk)
    plan_advance(plan.pk)
    monkeypatch.setattr(execution, "_startable", original)

    assert Operation.objects.count() == 1


def test_a_plan_without_a_person_leaves_hosts_on_that_were_never_seen_to_wake(plan: Plan):
    assert plan.approved_by is not None
    type(plan.approved_by).objects.filter(pk=plan.approved_by.pk).update(username="autopilot")
    Wake.objects.create(
        host=Host.objects.get(name="beta"), origin="drill", began_at=timezone.now(), seconds=20, passed=True
    )

    run_to_the_end(plan)

    plan.refresh_from_db()
    assert (plan.state, states(plan)["off alpha"], states(plan)["off beta"]) == ("done", "dropped", "done")
    assert plan.actions.get(state="dropped").sentence == "alpha was never seen to wake. Run a wake drill first."
    assert set(Host.objects.filter(power="off").values_list("name", flat=True)) == {"beta"}
