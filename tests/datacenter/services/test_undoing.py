"""Pausing a plan, and taking one back: with the real planner, as far as the world still allows."""

from __future__ import annotations

import pytest
from django.utils import timezone

from datacenter.models import Plan, PlanAction
from datacenter.services.execution import plan_advance
from datacenter.services.planning import plan_make
from datacenter.services.plans import answer_of, plan_approve, plan_pause, plan_resume, plan_stop
from datacenter.services.undoing import plan_undo
from hosts.errors import Forbidden, Refused
from hosts.models import Host, Operation
from tests.actors import client_of
from tests.datacenter.services.test_plans import a_proposal, a_sprawled_site
from tests.datacenter.world import a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


def carried_out() -> tuple[Plan, dict[str, str]]:
    """A plan that is done, its VMs where it put them and its freed hosts off; and where each VM was before."""
    a_sprawled_site()
    plan = a_proposal()
    before = dict(Workload.objects.values_list("name", "host__name"))
    for action in plan.actions.all():
        if action.kind == "move":
            Workload.objects.filter(pk=action.workload_id).update(host=action.target)
        else:
            Host.objects.filter(pk=action.source_id).update(power="off", desired_power="off")
    plan.actions.update(state="done")
    Plan.objects.filter(pk=plan.pk).update(state="done", approved_at=timezone.now(), finished_at=timezone.now())
    plan.refresh_from_db()
    return plan, before


def undone(plan: Plan) -> Plan:
    made = plan_undo(a_user(), plan)
    plan_make(made, {})
    made.refresh_from_db()
    return made


def test_what_a_plan_did_is_taken_back_with_hosts_woken_first():
    plan, before = carried_out()

    undo = undone(plan)

    assert undo.state == "proposed", undo.reason
    wakes = {action.source_id: action.number for action in undo.actions.filter(kind="power_on")}
    moves = list(undo.actions.filter(kind="move"))
    assert len(wakes) == 2 and len(moves) == 2 and not undo.actions.filter(kind="power_off").exists()
    for move in moves:
        assert before[move.workload_name] == move.target.name
        assert wakes[move.target_id] in move.after
    assert (undo.hosts_on_before, undo.hosts_on_after) == (1, 3)
    assert undo.savings["saved_watts"] < 0
    assert answer_of(undo).goal == "rearrange"


def test_it_is_approved_and_begins_with_waking():
    plan, _ = carried_out()
    undo = undone(plan)

    plan_approve(a_user(), undo)
    plan_advance(undo.pk)

    assert set(Operation.objects.values_list("kind", flat=True)) == {"host_power_on"}
    assert set(undo.actions.filter(kind="move").values_list("state", flat=True)) == {"waiting"}


def test_what_was_moved_since_or_is_gone_stays_and_is_said():
    plan, _ = carried_out()
    first, second = plan.actions.filter(kind="move").order_by("number")
    Workload.objects.filter(pk=first.workload_id).update(host=first.source)
    Workload.objects.filter(pk=second.workload_id).update(state="gone")

    undo = undone(plan)

    assert undo.state == "failed"
    assert "Nothing of the plan is left to undo." in undo.reason and f"{second.workload_name} is gone." in undo.reason


def test_one_that_cannot_go_back_is_told_and_the_others_go():
    plan, _ = carried_out()
    first, second = plan.actions.filter(kind="move").order_by("number")
    Workload.objects.filter(pk=first.workload_id).update(is_pinned=True, pin_reason="its licence")

    undo = undone(plan)

    assert [action.workload_id for action in undo.actions.filter(kind="move")] == [second.workload_id]
    assert any("its licence" in sentence for sentence in answer_of(undo).refusals)
    assert [action.source_id for action in undo.actions.filter(kind="power_on")] == [second.source_id]


def test_a_host_that_is_full_meanwhile_is_not_overfilled():
    plan, _ = carried_out()
    action = plan.actions.filter(kind="move").first()
    Host.objects.filter(pk=action.source_id).update(power="on", desired_power="on")
    a_vm("large", action.source, memory_mib=6500)

    undo = undone(plan)

    assert action.workload_id not in undo.actions.filter(kind="move").values_list("workload_id", flat=True)
    assert any("the policy has no room" in sentence for sentence in answer_of(undo).refusals)


@pytest.mark.parametrize("state", ["planning", "proposed", "running", "rejected"])
def test_only_what_was_carried_out_is_undone(state: str):
    plan, _ = carried_out()
    Plan.objects.filter(pk=plan.pk).update(state=state)
    plan.refresh_from_db()
    with pytest.raises(Refused, match="carried out can be undone"):
        plan_undo(a_user(), plan)


def test_a_plan_without_a_done_move_has_nothing_to_undo():
    plan, _ = carried_out()
    plan.actions.update(state="dropped")
    with pytest.raises(Refused, match="None of its moves was done"):
        plan_undo(a_user(), plan)


def test_a_viewer_undoes_and_pauses_nothing():
    plan, _ = carried_out()
    for act in (plan_undo, plan_pause, plan_resume):
        with pytest.raises(Forbidden):
            act(a_user("viewer"), plan)


def running() -> Plan:
    a_sprawled_site()
    plan = a_proposal()
    plan_approve(a_user(), plan)
    return plan


def test_a_paused_plan_begins_nothing_and_goes_on_when_told():
    plan = running()

    plan_pause(a_user(), plan)
    plan_advance(plan.pk)
    assert not Operation.objects.exists()
    with pytest.raises(Refused, match="paused already"):
        plan_pause(a_user(), plan)

    plan_resume(a_user(), plan)
    plan_advance(plan.pk)
    assert Operation.objects.filter(kind="migrate_vm").exists()
    with pytest.raises(Refused, match="not paused"):
        plan_resume(a_user(), plan)


def test_what_was_under_way_when_it_was_paused_is_settled():
    plan = running()
    plan_advance(plan.pk)
    plan_pause(a_user(), plan)
    Operation.objects.update(state="done")

    plan_advance(plan.pk)

    assert PlanAction.objects.filter(plan=plan, state="done").exists()
    assert not Operation.objects.exclude(state="done").exists()


def test_a_paused_plan_can_be_stopped():
    plan = running()
    plan_pause(a_user(), plan)
    plan_stop(a_user(), plan)
    plan_advance(plan.pk)
    plan.refresh_from_db()
    assert plan.state == "stopped" and plan.finished_at is not None


def test_the_pages_pause_go_on_and_undo():
    client = client_of("administrator")
    plan = running()
    client.post(f"/plans/{plan.pk}/pause/")
    page = client.get(f"/plans/{plan.pk}/").content.decode()
    assert "no further act begins" in page and "Go on" in page
    client.post(f"/plans/{plan.pk}/resume/")
    assert Plan.objects.get(pk=plan.pk).paused_at is None


def test_the_page_of_a_done_plan_offers_to_undo_it():
    client = client_of("administrator")
    plan, _ = carried_out()
    assert "Undo it" in client.get(f"/plans/{plan.pk}/").content.decode()
    answer = client.post(f"/plans/{plan.pk}/undo/")
    made = Plan.objects.exclude(pk=plan.pk).get()
    assert answer.status_code == 302 and made.document["undo"] == str(plan.pk)
    plan_make(made, {})
    page = client.get(f"/plans/{made.pk}/").content.decode()
    assert "It takes back" in page and "switch on" in page
