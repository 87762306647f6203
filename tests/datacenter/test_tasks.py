"""The doorbells of the data center's floor."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.utils import timezone

from datacenter import tasks
from datacenter.celery import app
from datacenter.models import Alert, NotificationChannel, Plan, PlanAction
from hosts.models import Operation
from hosts.operations.signals import operation_finished
from tests.datacenter.alerts.world import a_channel, a_rule
from tests.datacenter.world import a_host, a_site, a_vm

pytestmark = pytest.mark.django_db


@pytest.fixture
def rung(monkeypatch) -> list[tuple[str, list[Any]]]:
    """Names and arguments of the tasks sent."""
    sent: list[tuple[str, list[Any]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args=(), **_: sent.append((name, list(args))))
    return sent


def a_plan(**fields: Any) -> Plan:
    return Plan.objects.create(site=a_site(), requested_by_name="x", **fields)


def test_the_end_of_a_moves_operation_rings_its_plan(rung):
    plan = a_plan(state="running")
    operation = Operation.objects.create(kind="migrate_vm", subject_kind="vm", subject_id="1")
    PlanAction.objects.create(plan=plan, number=1, kind="move", operation=operation)

    operation_finished.send(sender=None, operation_id=operation.pk)

    assert rung == [("datacenter.plan_advance", [str(plan.pk)])]


def test_the_end_of_any_other_operation_rings_nothing(rung):
    operation = Operation.objects.create(kind="stop_workload", subject_kind="vm", subject_id="1")

    operation_finished.send(sender=None, operation_id=operation.pk)

    assert rung == []


def test_a_plan_is_made_without_history_when_the_store_is_away():
    a_vm("web", a_host("alpha"))
    plan = a_plan()

    tasks.make(str(plan.pk))

    plan.refresh_from_db()
    assert plan.state == "proposed"


def test_a_second_delivery_makes_nothing_anew():
    plan = a_plan(state="rejected")

    tasks.make(str(plan.pk))

    plan.refresh_from_db()
    assert (plan.state, plan.document) == ("rejected", {})


def test_the_sweep_advances_running_plans_and_asks_for_unplanned_ones_again(rung):
    running = a_plan(state="running")

    tasks.sweep()

    running.refresh_from_db()
    assert running.state == "done"  # it had nothing to do
    assert rung == []


def test_each_channel_with_something_to_send_is_rung_once(rung):
    failing, idle = a_channel(), a_channel()
    NotificationChannel.objects.filter(pk=failing.pk).update(test_asked_at=timezone.now())

    tasks.send_due()

    assert rung == [("datacenter.alerts.send", [str(failing.pk)])]
    assert idle.notices.count() == 0


def test_every_task_of_the_schedule_is_known_and_those_of_alerts_have_a_queue_of_their_own():
    app.loader.import_default_modules()
    schedule = app.conf.beat_schedule.values()

    assert [entry["task"] for entry in schedule if entry["task"] not in app.tasks] == []
    alerts = [entry["task"] for entry in schedule if entry["task"].startswith("datacenter.alerts.")]
    assert len(alerts) >= 3
    assert {app.amqp.router.route({}, name)["queue"].name for name in alerts} == {"alerts"}


def test_a_round_of_alerts_without_a_store_passes_and_says_that_it_is_blind(rung):
    a_rule(metric="stowage_host_load_1m", threshold=9)

    tasks.evaluate_alerts()
    tasks.remember_pools()

    assert Alert.objects.get().thing_kind == "store"
