"""Backtests: a policy on what a real VictoriaMetrics recorded, beside what happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from datacenter.metrics.store import MetricsStore, Sample
from datacenter.models import Policy, Question
from datacenter.recorded import Record, happened, record_read
from datacenter.services import backtesting
from datacenter.services import questions as services
from datacenter.services.answering import question_answer
from datacenter.services.backtesting import backtest_of
from datacenter.snapshot import data_center_read
from hosts.errors import Forbidden, Invalid
from hosts.models import Host, Operation
from tests.actors import client_of
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db
HOUR_S = 3600
NOW = time.time() // HOUR_S * HOUR_S + 600


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsStore]:
    with running_store(tmp_path_factory.mktemp("store"), "13") as (_, client):
        yield client


def recorded(store: MetricsStore, metric: str, labels: dict[str, str], hours: int, value_of: Any) -> None:
    """Five-minute averages of the last hours before NOW; `value_of` gets the hour of the day."""
    end = NOW // HOUR_S * HOUR_S
    buckets = [end - 300 * number for number in range(hours * 12)]
    samples = [(bucket, value_of(datetime.fromtimestamp(bucket - 150, UTC).hour)) for bucket in buckets]
    labels = {**labels, "site": "berlin", "aggregate": "avg"}
    store.write([Sample(metric, labels, value, bucket - 60) for bucket, value in samples])


def a_day_load_and_a_night_load(store: MetricsStore, days: int = 9) -> list[Any]:
    """On a host each; both hosts were on all the time."""
    hosts = [a_host(name, cpu_cores=4.0) for name in ("alpha", "beta")]
    is_busy = {"day": lambda hour: 8 <= hour < 20, "night": lambda hour: not 8 <= hour < 20}
    for host, (name, busy) in zip(hosts, is_busy.items(), strict=True):
        vm = a_vm(name, host, cpu_cores=3.0)
        host_labels, vm_labels = {"host_uuid": str(host.pk)}, {"workload_uuid": str(vm.pk)}
        recorded(store, "stowage_host_cpu_used_cores", host_labels, days * 24, lambda hour: 1.0)
        recorded(
            store,
            "stowage_workload_cpu_used_cores",
            vm_labels,
            days * 24,
            lambda hour, busy=busy: 2.5 if busy(hour) else 0.1,
        )
    make_searchable(store)
    return hosts


def policy(demand_by: str) -> Policy:
    return Policy.objects.create(site=a_site(), demand_by=demand_by, cpu_headroom_percent=20, cpu_overcommit=1)


def replayed(store: MetricsStore, row: Policy, days: int = 2) -> tuple[str, Any]:
    return backtest_of(data_center_read(a_site(), timezone.now()), row, days, store, NOW)


@needs_store
def test_planning_by_hours_would_have_needed_one_host_where_two_were_on(store: MetricsStore):
    a_day_load_and_a_night_load(store)

    sentence, lines = replayed(store, policy("profiles"))

    assert "with 48 host-hours instead of 96, 1 moves instead of 0" in sentence
    assert sentence.endswith("and demand above capacity in 0 host-hours instead of 0.")
    assert len(lines) == 2
    assert lines[0][1].startswith("1 hosts on (1 1 1")
    assert "2 hosts on (2 2 2" in lines[0][1].split(" with the policy; ")[1]


@needs_store
@pytest.mark.parametrize("demand_by", ["p95", "allocation"])
def test_planning_by_one_number_would_have_kept_both_on(store: MetricsStore, demand_by: str):
    a_day_load_and_a_night_load(store)

    assert "with 96 host-hours instead of 96, 0 moves instead of 0" in replayed(store, policy(demand_by))[0]


@needs_store
def test_too_short_a_record_is_a_sentence_that_says_when(store: MetricsStore):
    a_day_load_and_a_night_load(store, days=2)

    with pytest.raises(Invalid, match=r"berlin has 48 hours on record: ask again in 144 hours\."):
        replayed(store, policy("profiles"))


@needs_store
def test_what_is_asked_is_what_was_recorded(store: MetricsStore):
    hosts = a_day_load_and_a_night_load(store)

    record = record_read(store, "berlin", NOW // HOUR_S * HOUR_S, 24)

    assert record.hours == 24
    assert record.hosts_on == [frozenset(str(host.pk) for host in hosts)] * 24
    assert {max(cores) for cores in record.cores.values()} == {2.5}
    assert all(a + b == pytest.approx(2.6) for a, b in zip(*record.cores.values(), strict=True))


@needs_store
def test_the_replay_begins_where_things_were_then_not_where_they_are_now(store: MetricsStore):
    alpha, _ = a_day_load_and_a_night_load(store)
    night = Workload.objects.get(name="night")
    Operation.objects.create(
        kind="migrate_vm",
        state="done",
        subject_kind="vm",
        subject_id=str(night.pk),
        subject_name="night",
        host=night.host,
        target_host=alpha,
        finished_at=datetime.fromtimestamp(NOW - 2 * HOUR_S, UTC),
    )
    Workload.objects.filter(pk=night.pk).update(host=alpha)
    Host.objects.filter(name="beta").update(power="off")

    sentence, _ = replayed(store, policy("profiles"))

    assert "with 48 host-hours instead of 96, 1 moves instead of 1" in sentence


def test_moves_are_undone_on_the_way_back_and_nothing_else_is():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("mail", beta)
    start = NOW // HOUR_S * HOUR_S - 4 * HOUR_S
    for kind, state, hour in (
        ("migrate_vm", "done", 1.5),
        ("migrate_vm", "failed", 2.5),
        ("stop_workload", "done", 3.5),
    ):
        Operation.objects.create(
            kind=kind,
            state=state,
            subject_kind="vm",
            subject_id=str(vm.pk),
            subject_name="mail",
            host=alpha,
            target_host=beta,
            finished_at=datetime.fromtimestamp(start + hour * HOUR_S, UTC),
        )

    hours = happened(Record(start, {}, [frozenset({"x"})] * 4), 0, {str(vm.pk): str(beta.pk)})

    assert [hour.placement[str(vm.pk)] for hour in hours] == [str(alpha.pk), *[str(beta.pk)] * 3]


@needs_store
def test_a_question_is_asked_and_answered_with_another_way_of_planning(store: MetricsStore, monkeypatch: Any):
    a_day_load_and_a_night_load(store)
    policy("p95")
    monkeypatch.setattr(backtesting, "MetricsStore", lambda *_: store)
    client = client_of("operator")

    client.post(
        "/questions/ask/backtest/",
        {"backtest-site": a_site().pk, "backtest-days": "1", "backtest-demand_by": "profiles"},
    )
    question = Question.objects.get()
    question_answer(question, {})
    question.refresh_from_db()

    assert question.state == "answered", question.sentence
    assert "planning by what they use in each hour of the week?" in question.title
    assert "with 24 host-hours instead of 48" in question.sentence
    assert Policy.objects.get().demand_by == "p95", "trying changes nothing"


def test_a_store_that_is_away_is_the_answers_sentence():
    a_vm("mail", a_host("alpha"))
    question = services.ask_backtest(a_user(), a_site(), 7)

    question_answer(question, {})

    question.refresh_from_db()
    assert (question.state, question.sentence) == ("failed", "The metrics store does not answer.")


@pytest.mark.parametrize(("days", "demand_by"), [(0, ""), (29, ""), (7, "magic")])
def test_what_cannot_be_replayed_is_refused(days: int, demand_by: str):
    a_host("alpha")

    with pytest.raises(Invalid):
        services.ask_backtest(a_user(), a_site(), days, demand_by)


def test_only_operators_ask():
    with pytest.raises(Forbidden):
        services.ask_backtest(a_user("viewer"), a_site(), 7)
