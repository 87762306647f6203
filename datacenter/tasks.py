"""Doorbells of the data center's floor: make a plan (queue `plan`), carry plans out (`control`), alerts (`alerts`)."""

from __future__ import annotations

import contextlib
import logging
import time
from datetime import datetime
from typing import Any

from celery import current_app, shared_task
from django.conf import settings
from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

from datacenter.alerts.forecast import pool_samples
from datacenter.demanding import demand_for
from datacenter.metrics.demand import Demand, demand_lately
from datacenter.metrics.history import store_at
from datacenter.metrics.inventory import inventory_samples
from datacenter.metrics.store import MetricsStore
from datacenter.models import Plan, PlanAction, Question, Recovery
from datacenter.services.alerting import alerts_evaluate, alerts_forget
from datacenter.services.answering import question_answer, questions_unanswered
from datacenter.services.autopilot_looks import autopilots_look, decisions_forget
from datacenter.services.drilling import drills_begin
from datacenter.services.execution import plan_advance, plans_sweep
from datacenter.services.explaining import plan_explain
from datacenter.services.ledger import ledger_keep
from datacenter.services.losses import losses_look
from datacenter.services.maintaining import maintenance_sweep
from datacenter.services.maintenance_steps import maintenance_advance
from datacenter.services.notices import channel_send, channels_due
from datacenter.services.planning import plan_make, plans_unplanned
from datacenter.services.profiling import profiles_refresh
from datacenter.services.questions import ring_planner
from datacenter.services.recovering import recoveries_sweep
from datacenter.snapshot import policy_of
from hosts.errors import DriverError
from hosts.models import Site
from hosts.operations.clock import database_now
from hosts.operations.signals import operation_finished

log = logging.getLogger(__name__)

PROFILE_TIMEOUT_S = 60.0
LATELY_MINUTES = 5  # of load that the autopilot relieves a host by


@shared_task(name="datacenter.plan.make")
def make(plan_id: str) -> None:
    """Fills one plan. A second delivery finds it filled and does nothing."""
    plan = Plan.objects.select_related("site").filter(pk=plan_id, state=Plan.State.PLANNING).first()
    if plan is not None:
        plan_make(plan, _demand_of(plan.site))
        current_app.send_task("datacenter.plan.explain", args=[plan_id], queue="plan", expires=60)


@shared_task(name="datacenter.plan.explain")
def explain(plan_id: str) -> None:
    """Says what would free the hosts that the plan leaves on. Lost with its message: a new plan asks anew."""
    plan = Plan.objects.select_related("site").filter(pk=plan_id, state=Plan.State.PROPOSED).first()
    if plan is not None and not plan.document.get("evacuate"):
        plan_explain(plan)


@shared_task(name="datacenter.plan.answer")
def answer(question_id: str) -> None:
    """Answers one question. A second delivery finds it answered and does nothing."""
    question = Question.objects.select_related("site").filter(pk=question_id, state=Question.State.ASKED).first()
    if question is not None:
        question_answer(question, _demand_of(question.site))


@shared_task(name="datacenter.plan.profiles")
def profiles(since: str = "") -> None:
    """Refreshes the demand profiles by a day of the week at most and sends itself for the rest: plans go in between."""
    came_from = datetime.fromisoformat(since) if since else None
    try:
        until = profiles_refresh(MetricsStore(settings.METRICS_LONG_URL, PROFILE_TIMEOUT_S), timezone.now(), came_from)
    except DriverError as error:
        log.warning("The demand profiles wait for the next hour: %s", error.message)
        return
    if until is not None:
        current_app.send_task("datacenter.plan.profiles", args=[until.isoformat()], queue="plan", expires=3600)


@shared_task(name="datacenter.plan.ledger")
def ledger() -> None:
    """Keeps the savings ledger. A store that is away: the next run goes on. Two at once do no harm."""
    try:
        ledger_keep(database_now(), store_at(settings.METRICS_URL), store_at(settings.METRICS_LONG_URL))
    except DriverError as error:
        log.warning("The savings ledger waits for the metrics: %s", error.message)


@shared_task(name="datacenter.plan.losses")
def losses() -> None:
    """Looks at what each site can lose now. Two at once do no harm."""
    for site in Site.objects.all():
        losses_look(site, database_now(), _demand_of(site))


@shared_task(name="datacenter.plan.drills")
def drills() -> None:
    """Begins the wake drills that are due. Two at once do no harm."""
    drills_begin(database_now())


def _demand_of(site: Site) -> dict[str, Demand]:
    return demand_for(site, policy_of(site), MetricsStore(settings.METRICS_URL))


@shared_task(name="datacenter.plan_advance")
def advance(plan_id: str) -> None:
    plan_advance(plan_id)


@shared_task(name="datacenter.plan_sweep")
def sweep() -> None:
    """Goes on with plans under way; asks again for those that no plan worker took up."""
    plans_sweep()
    for plan_id in plans_unplanned():
        current_app.send_task("datacenter.plan.make", args=[str(plan_id)], queue="plan", expires=15)
    for question_id in questions_unanswered():
        ring_planner(str(question_id))


@shared_task(name="datacenter.plan.autopilot")
def autopilot() -> None:
    """A look of the autopilot at every site where it is on. Two at once do no harm."""
    store = MetricsStore(settings.METRICS_URL)
    autopilots_look(
        database_now(),
        lambda row: _demand_of(row.site),
        lambda row: demand_lately(store, row.site.name, LATELY_MINUTES),
    )


@shared_task(name="datacenter.decisions_forget")
def forget_decisions() -> None:
    """Removes what the autopilot decided long ago."""
    decisions_forget(database_now())


@shared_task(name="datacenter.maintenance_advance")
def advance_maintenance(run_id: str) -> None:
    maintenance_advance(run_id)


@shared_task(name="datacenter.maintenance_sweep")
def sweep_maintenance() -> None:
    """Goes on with the maintenance runs under way. Two at once do no harm."""
    maintenance_sweep()


@shared_task(name="datacenter.recoveries_sweep")
def sweep_recoveries() -> None:
    """Finds lost hosts and goes on with their recoveries. Two at once do no harm."""
    recoveries_sweep()


@shared_task(name="datacenter.inventory_write")
def inventory_write() -> None:
    """Writes what the database knows to the metrics store; a store that is away gets the next minute's."""
    try:
        store_at(settings.METRICS_URL).write(inventory_samples(time.time()))
    except DriverError as error:
        log.warning("The inventory was not written: %s", error.message)


@shared_task(name="datacenter.alerts.evaluate")
def evaluate_alerts() -> None:
    """A round of looking at all rules. A second one at the same time does no harm."""
    alerts_evaluate(store_at(settings.METRICS_URL), store_at(settings.METRICS_LONG_URL))


@shared_task(name="datacenter.alerts.send_due")
def send_due() -> None:
    """Rings once for each channel that has something to be sent: one that hangs holds up no other."""
    for channel_id in channels_due(database_now()):
        current_app.send_task("datacenter.alerts.send", args=[str(channel_id)], queue="alerts", expires=30)


@shared_task(name="datacenter.alerts.send")
def send_notices(channel_id: str) -> None:
    channel_send(channel_id)


@shared_task(name="datacenter.alerts.forget")
def forget_alerts() -> None:
    alerts_forget(database_now())


@shared_task(name="datacenter.alerts.pools")
def remember_pools() -> None:
    """Keeps how full the pools are, for forecasts. A reading that was missed is missed."""
    with contextlib.suppress(DriverError):
        store_at(settings.METRICS_LONG_URL).write(pool_samples(time.time(), database_now()))


@receiver(operation_finished)
def on_operation_finished(sender: Any, operation_id: Any, **_: Any) -> None:
    """Goes on with the plan or the recovery that the operation belongs to, if any."""
    is_of_recovery = Q(fence=operation_id) | Q(workloads__operation=operation_id)
    if Recovery.objects.filter(is_of_recovery, finished_at=None).exists():
        current_app.send_task("datacenter.recoveries_sweep", queue="control", expires=5)
    action = PlanAction.objects.filter(operation_id=operation_id).first()
    if action is not None:
        current_app.send_task("datacenter.plan_advance", args=[str(action.plan_id)], queue="control")
