"""Maintenance runs with the real planner: drained, one host after the other, paused with a reason."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from datacenter.alerts.events import maintenance_paused
from datacenter.alerts.reading import Verdict
from datacenter.models import AlertRule, MaintenanceRun, Plan, Policy
from datacenter.services.draining import drain_lines
from datacenter.services.execution import plan_advance
from datacenter.services.maintaining import (
    maintenance_begin,
    maintenance_drain,
    maintenance_pause,
    maintenance_resume,
    maintenance_roll,
    maintenance_stop,
    maintenance_sweep,
    maintenance_work_done,
)
from datacenter.services.maintenance_steps import maintenance_advance
from datacenter.services.planning import plan_make
from hosts.errors import Forbidden, Refused
from hosts.models import Host, Operation
from hosts.operations.lease import lease_release
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


@pytest.fixture
def hosts() -> dict[str, Host]:
    """Two VMs on alpha, none on beta and gamma."""
    found = {name: a_host(name) for name in ("alpha", "beta", "gamma")}
    a_vm("web-1", found["alpha"])
    a_vm("web-2", found["alpha"])
    return found


def planned(run: MaintenanceRun) -> MaintenanceRun:
    for plan in Plan.objects.filter(state="planning"):
        plan_make(plan, {})
    return MaintenanceRun.objects.get(pk=run.pk)


def end_operations(state: str = "done") -> None:
    """Each open operation ends, as the host planes would have it end."""
    for row in Operation.objects.filter(state__in=["queued", "running"]):
        if state == "done" and row.target_host_id:
            Workload.objects.filter(pk=row.subject_id).update(host=row.target_host)
        elif state == "done" and row.kind == "stop_workload":
            Workload.objects.filter(pk=row.subject_id).update(state="stopped")
        elif state == "done" and row.kind.startswith("host_maintenance"):
            is_on = row.kind == "host_maintenance_on"
            Host.objects.filter(pk=row.subject_id).update(is_in_maintenance=is_on, is_cordoned=is_on)
        Operation.objects.filter(pk=row.pk).update(state=state, message="" if state == "done" else "It broke.")
        lease_release(row)


def rounds(run: MaintenanceRun, count: int = 10) -> MaintenanceRun:
    for _ in range(count):
        maintenance_advance(run.pk)
        planned(run)
        for plan in Plan.objects.filter(state__in=["running", "stopped"], finished_at=None):
            plan_advance(plan.pk)
        end_operations()
    return MaintenanceRun.objects.get(pk=run.pk)


def steps(run: MaintenanceRun) -> dict[str, str]:
    return dict(run.members.values_list("host_name", "state"))


def test_the_proposal_says_for_each_workload_where_it_goes_and_nothing_has_moved(hosts: dict[str, Host]):
    run = planned(maintenance_drain(a_user(), hosts["alpha"]))

    lines = drain_lines(run.members.get())

    assert {(line.name, line.why_not) for line in lines} == {("web-1", ""), ("web-2", "")}
    assert {line.target for line in lines} == {"beta", "gamma"}
    assert all(line.seconds > 0 and line.moved_mib >= 1024 for line in lines)
    assert not Operation.objects.exists()
    assert not Host.objects.get(name="alpha").is_cordoned


def test_a_drained_host_is_closed_at_once_and_enters_maintenance_when_it_is_empty(hosts: dict[str, Host]):
    user = a_user()
    run = planned(maintenance_drain(user, hosts["alpha"]))

    maintenance_begin(user, run)

    assert Host.objects.get(name="alpha").is_cordoned
    assert not Host.objects.get(name="alpha").is_in_maintenance
    run = rounds(run)
    assert (run.state, steps(run)) == ("done", {"alpha": "done"})
    assert Host.objects.get(name="alpha").is_in_maintenance
    assert set(Workload.objects.values_list("host__name", flat=True)) == {"beta", "gamma"}


def test_what_cannot_leave_refuses_the_draining_unless_it_is_to_be_shut_down(hosts: dict[str, Host]):
    user = a_user()
    pinned = a_vm("fixed", hosts["alpha"], is_pinned=True, pin_reason="licence")
    run = planned(maintenance_drain(user, hosts["alpha"]))

    with pytest.raises(Refused, match="fixed can't leave"):
        maintenance_begin(user, run)
    assert not Host.objects.get(name="alpha").is_cordoned

    maintenance_begin(user, run, shut_down=[UUID(str(pinned.pk))])
    run = rounds(run)
    assert run.state == "done"
    assert Workload.objects.get(name="fixed").state == "stopped"
    assert Workload.objects.get(name="fixed").host == hosts["alpha"]


def test_a_failed_move_pauses_the_run_and_going_on_plans_anew(hosts: dict[str, Host]):
    user = a_user()
    run = planned(maintenance_drain(user, hosts["alpha"]))
    maintenance_begin(user, run)
    plan_advance(run.members.get().plan_id)
    end_operations("failed")
    plan_advance(run.members.get().plan_id)

    maintenance_advance(run.pk)

    run.refresh_from_db()
    assert run.state == "paused"
    assert run.sentence.startswith("alpha: The move of web-")
    maintenance_resume(user, run)
    assert rounds(run).state == "done"


def test_a_stopped_drain_opens_the_host_again_and_moves_nothing_more(hosts: dict[str, Host]):
    user = a_user()
    run = planned(maintenance_drain(user, hosts["alpha"]))
    maintenance_begin(user, run)

    maintenance_stop(user, run)

    run = rounds(run)
    assert (run.state, steps(run)) == ("stopped", {"alpha": "dropped"})
    assert not Host.objects.get(name="alpha").is_cordoned
    assert set(Workload.objects.values_list("host__name", flat=True)) == {"alpha"}


def test_a_rack_is_taken_host_after_host_and_each_waits_for_a_word(hosts: dict[str, Host]):
    user = a_user()
    run = maintenance_roll(user, a_site(), rack=hosts["alpha"].rack)

    run = rounds(run)
    assert steps(run) == {"alpha": "work", "beta": "waiting", "gamma": "waiting"}
    for number in (1, 2, 3):
        maintenance_work_done(user, run, number)
        run = rounds(run, 14)

    assert (run.state, set(steps(run).values())) == ("done", {"done"})
    assert not Host.objects.filter(is_in_maintenance=True).exists()
    assert not Host.objects.filter(is_cordoned=True).exists()
    assert not Workload.objects.filter(host=hosts["gamma"]).exists()  # nobody has moved anything back


def test_a_host_that_does_not_answer_is_not_handed_back(hosts: dict[str, Host]):
    user = a_user()
    run = rounds(maintenance_roll(user, a_site()))
    Host.objects.filter(name="alpha").update(hypervisor_sentence="libvirt does not answer.")

    with pytest.raises(Refused, match="alpha is not back yet: libvirt does not answer"):
        maintenance_work_done(user, run, 1)

    assert steps(run)["alpha"] == "work"


def test_a_host_that_cannot_be_emptied_pauses_the_run_with_the_planners_sentence(hosts: dict[str, Host]):
    a_vm("fixed", hosts["alpha"], is_pinned=True, pin_reason="licence")

    run = rounds(maintenance_roll(a_user(), a_site()))

    assert run.state == "paused"
    assert run.sentence.startswith("alpha: fixed can't leave: ")
    assert not Host.objects.filter(is_cordoned=True).exists()


def test_going_on_plans_anew_once_the_obstacle_is_gone(hosts: dict[str, Host]):
    user = a_user()
    fixed = a_vm("fixed", hosts["alpha"], is_pinned=True, pin_reason="licence")
    run = rounds(maintenance_roll(user, a_site()))
    Workload.objects.filter(pk=fixed.pk).update(is_pinned=False)

    maintenance_resume(user, run)

    assert steps(rounds(run, 14))["alpha"] == "work"


def test_an_alert_tells_of_a_run_that_paused_by_itself_and_of_none_that_a_person_paused(hosts: dict[str, Host]):
    user, rule = a_user(), AlertRule.objects.get(event="maintenance_paused")
    run = maintenance_roll(user, a_site())
    maintenance_pause(user, run)
    assert maintenance_paused(rule, [], timezone.now()) == []
    a_vm("fixed", hosts["alpha"], is_pinned=True, pin_reason="licence")
    maintenance_resume(user, run)
    rounds(run)

    [reading] = maintenance_paused(rule, [], timezone.now())

    assert reading.verdict is Verdict.WRONG
    assert "was paused: alpha: fixed can't leave" in reading.sentence


def test_a_workload_that_is_being_made_keeps_the_host_out_of_maintenance(hosts: dict[str, Host]):
    user = a_user()
    run = planned(maintenance_drain(user, hosts["alpha"]))
    maintenance_begin(user, run)
    a_vm("new", hosts["alpha"], state="creating")

    run = rounds(run)

    assert (run.state, run.sentence[:30]) == ("paused", "alpha: new still runs there. M"[:30])
    assert not Host.objects.get(name="alpha").is_in_maintenance


def test_a_paused_run_begins_no_further_step(hosts: dict[str, Host]):
    user = a_user()
    run = maintenance_roll(user, a_site())
    maintenance_pause(user, run)

    maintenance_sweep()

    assert set(steps(run).values()) == {"waiting"}


def test_a_second_look_starts_no_operation_twice(hosts: dict[str, Host]):
    run = maintenance_roll(a_user(), a_site())
    for _ in range(3):
        for _ in range(2):
            maintenance_advance(run.pk)
        planned(run)
        for plan in Plan.objects.filter(state="running"):
            plan_advance(plan.pk)
        end_operations()
    rounds(run)

    assert Plan.objects.count() == 1
    assert Operation.objects.filter(kind="host_maintenance_on").count() == 1


def test_one_site_has_one_open_maintenance(hosts: dict[str, Host]):
    maintenance_drain(a_user(), hosts["alpha"])

    with pytest.raises(Refused, match="There is an open maintenance of berlin"):
        maintenance_drain(a_user(), hosts["beta"])


def test_a_viewer_drains_nothing(hosts: dict[str, Host]):
    viewer: User = a_user("viewer")

    with pytest.raises(Forbidden):
        maintenance_drain(viewer, hosts["alpha"])


def test_each_host_of_a_rack_is_switched_off_and_woken_and_handed_back(hosts: dict[str, Host]):
    run = rounds(maintenance_roll(a_user(), a_site(), is_cycled=True), 40)

    assert (run.state, set(steps(run).values())) == ("done", {"done"})
    drills = Operation.objects.filter(kind="host_wake_drill")
    assert sorted(drills.values_list("subject_name", flat=True)) == ["alpha", "beta", "gamma"]


def test_a_host_that_did_not_wake_pauses_the_run_and_is_not_handed_back(hosts: dict[str, Host]):
    user = a_user()
    run = maintenance_roll(user, a_site(), is_cycled=True)
    for _ in range(10):
        maintenance_advance(run.pk)
        planned(run)
        for plan in Plan.objects.filter(state="running"):
            plan_advance(plan.pk)
        if Operation.objects.filter(kind="host_wake_drill").exists():
            break
        end_operations()
    end_operations("failed")

    run = rounds(run, 3)

    assert (run.state, run.sentence, steps(run)["alpha"]) == ("paused", "alpha: It broke.", "cycling")
    maintenance_resume(user, run)
    assert steps(rounds(run))["alpha"] == "done"


def test_a_host_without_a_bmc_is_not_taken_to_be_switched_off(hosts: dict[str, Host]):
    a_host("delta", bmc=False)

    with pytest.raises(Refused, match="BMC"):
        maintenance_roll(a_user(), a_site(), is_cycled=True)


def test_with_two_people_each_host_waits_until_the_other_one_goes_on(hosts: dict[str, Host]):
    first, second = a_user(), a_user()
    Policy.objects.update_or_create(site=a_site(), defaults={"two_people": True})
    run = rounds(maintenance_roll(first, a_site()), 3)
    assert (run.state, steps(run)["alpha"]) == ("paused", "planning")
    assert "somebody else must approve" in run.sentence

    maintenance_resume(first, run)
    run = rounds(run, 3)
    assert (run.state, steps(run)["alpha"]) == ("paused", "planning")

    maintenance_resume(second, run)
    run = rounds(run)
    assert (run.state, steps(run)["alpha"]) == ("running", "work")
    assert Plan.objects.get(state="done").approved_by == second


@pytest.mark.parametrize("is_on", [True, False])
def test_a_maintenance_operation_that_failed_is_tried_again_when_somebody_goes_on(hosts: dict[str, Host], is_on: bool):
    user = a_user()
    run = rounds(maintenance_roll(user, a_site()), 3 if is_on else 10)
    if not is_on:
        maintenance_work_done(user, run, 1)
    for _ in range(10):
        maintenance_advance(run.pk)
        planned(run)
        for plan in Plan.objects.filter(state="running"):
            plan_advance(plan.pk)
        wanted = f"host_maintenance_{'on' if is_on else 'off'}"
        if Operation.objects.filter(kind=wanted, state__in=["queued", "running"]).exists():
            break
        end_operations()
    end_operations("failed")
    maintenance_advance(run.pk)
    run.refresh_from_db()
    assert (run.state, run.sentence) == ("paused", "alpha: It broke.")

    maintenance_resume(user, run)

    run = rounds(run)
    assert steps(run)["alpha"] == ("work" if is_on else "done")
