"""Rounds of looking: what begins, fires, is kept quiet and ends, with the clock passed in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from datacenter.metrics.store import MetricsStore
from datacenter.models import Alert, AlertNotice, AlertRule, Silence
from datacenter.services.alerting import alerts_evaluate, alerts_forget
from hosts.models import Host, Lease, Operation, PoolMount
from tests.datacenter.alerts.world import (
    LIMIT_S,
    a_channel,
    a_round,
    a_rule,
    away,
    find,
    lose,
    lost_hosts,
    only_rules_of_the_test,
    quiet_store,
)
from tests.datacenter.threads import Threads
from tests.factories import container_make, host_make, pool_mount_make, rack_make, vm_make
from workloads.models import Workload

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_ready_rules(db: None) -> None:
    only_rules_of_the_test()


def states() -> list[str]:
    return list(Alert.objects.values_list("state", flat=True))


def notices() -> list[tuple[str, str]]:
    return list(AlertNotice.objects.values_list("event", "alert__thing_name"))


# -- events -----------------------------------------------------------------------------------------------


def test_a_lost_host_fires_once_and_ends_when_it_answers_again():
    rule, (host,) = a_rule("host_lost", channels=[a_channel()]), lost_hosts("alpha")

    assert a_round().fired == 1
    assert a_round(after_s=10).fired == 0
    alert = Alert.objects.get()
    assert (alert.state, alert.rule, alert.host, alert.site) == ("firing", rule, host, host.rack.site)
    assert "alpha does not answer" in alert.sentence

    find(host)
    assert a_round(after_s=20).resolved == 0  # not well for long enough
    assert a_round(after_s=40).resolved == 1

    assert states() == ["resolved"]
    assert a_round(after_s=50).resolved == 0


def test_a_silent_host_that_no_collector_has_marked_is_not_lost_but_alerting_is_blind():
    a_rule("host_lost")
    a_rule("alerting_blind")
    host = host_make()
    now = timezone.now()

    outcome = alerts_evaluate(quiet_store(), quiet_store(), now + timedelta(minutes=2), LIMIT_S)

    assert "collector" in outcome.blind
    assert [row.thing_kind for row in Alert.objects.all()] == ["store"]
    assert Host.objects.get(pk=host.pk).power == "on"


def test_a_host_that_somebody_switched_off_past_us_is_lost_and_one_that_we_switched_off_is_not():
    a_rule("host_lost")
    host_make("by-hand", power="off")
    host_make("by-us", power="off", desired_power="off")

    a_round()

    assert [row.thing_name for row in Alert.objects.all()] == ["by-hand"]


def test_a_host_whose_power_an_operation_switches_is_not_lost():
    a_rule("host_lost")
    (host,) = lost_hosts("alpha")
    subject = {"subject_kind": "host", "subject_id": str(host.pk), "subject_name": host.name}
    operation = Operation.objects.create(kind="host_power_on", state="running", **subject)
    lease = Lease.objects.create(thing_kind="host", thing_id=str(host.pk), operation=operation)

    assert a_round().fired == 0

    Lease.objects.filter(pk=lease.pk).update(operation=None)
    assert a_round().fired == 1


def test_a_crashed_workload_fires_until_it_runs_and_an_unknown_one_stays_as_it_is():
    a_rule("workload_crashed")
    host = host_make()
    vm = vm_make(host, "web-1", state="crashed", state_reason="panicked")
    container_make(host, state="crashed", desired="stopped")  # asked to end, whatever it ended with

    assert a_round().fired == 1
    Workload.objects.filter(pk=vm.pk).update(state="unknown")
    for after_s in (30, 60, 90):
        assert a_round(after_s=after_s).resolved == 0
    assert states() == ["firing"]

    Workload.objects.filter(pk=vm.pk).update(state="running")
    a_round(after_s=100)
    a_round(after_s=130)

    assert states() == ["resolved"]


def test_an_operation_that_needs_attention_fires_and_ends_when_it_is_closed():
    a_rule("operation_stuck")
    subject = {"subject_kind": "vm", "subject_id": "x", "subject_name": "web-1"}
    operation = Operation.objects.create(kind="migrate_vm", state="stuck", message="Nobody answers.", **subject)

    a_round()
    Operation.objects.filter(pk=operation.pk).update(state="failed")
    a_round(after_s=30)
    a_round(after_s=60)

    alert = Alert.objects.get()
    assert (alert.state, alert.thing_kind) == ("resolved", "operation")


def test_a_pool_that_hovers_around_its_threshold_neither_begins_anew_nor_ends():
    a_rule("pool_nearly_full", threshold=85, margin_percent=5)
    mount = PoolMount.objects.get(host=host_make("alpha"))
    for number, used in enumerate((84.9, 86, 84.8, 86, 82, 81)):
        PoolMount.objects.filter(pk=mount.pk).update(free_gib=100 - used)
        a_round(after_s=30 * number)

    alert = Alert.objects.get()
    assert alert.state == "firing"
    assert alert.thing_name == "local on alpha"

    PoolMount.objects.filter(pk=mount.pk).update(free_gib=30)
    a_round(after_s=300)
    a_round(after_s=330)
    assert states() == ["resolved"]


def test_a_shared_pool_is_one_thing_and_its_last_heard_host_is_believed():
    a_rule("pool_nearly_full", threshold=85)
    alpha, beta = host_make("alpha"), host_make("beta")
    pool = pool_mount_make(alpha).pool
    pool_mount_make(beta, pool)
    PoolMount.objects.filter(pool=pool).update(free_gib=5)
    lose(alpha)
    PoolMount.objects.filter(pool=pool, host=alpha).update(free_gib=90)

    a_round()

    assert [(row.thing_id, row.host) for row in Alert.objects.all()] == [(pool.pool_id, None)]


def test_a_pool_whose_host_is_silent_stays_as_it_was():
    a_rule("pool_nearly_full", threshold=85)
    host = host_make()
    PoolMount.objects.update(free_gib=5)
    a_round()

    PoolMount.objects.update(free_gib=90)
    lose(host)
    for after_s in (30, 60, 90):
        a_round(after_s=after_s)

    assert states() == ["firing"]


def test_an_alert_on_a_removed_host_ends():
    a_rule("host_lost")
    (host,) = lost_hosts("alpha")
    a_round()

    PoolMount.objects.all().delete()
    host.bmc.delete()
    host.delete()
    a_round(after_s=10)

    alert = Alert.objects.get()
    assert (alert.state, alert.sentence) == ("resolved", "alpha is no longer in the inventory.")


@pytest.mark.parametrize("scope", ["site", "host"])
def test_a_rule_is_held_to_its_scope(scope: str):
    here, elsewhere = lost_hosts("here", "elsewhere")
    named: dict[str, Any] = {"site": here.rack.site} if scope == "site" else {"host": here}
    if scope == "site":
        Host.objects.filter(pk=elsewhere.pk).update(rack=rack_make("other"))
    a_rule("host_lost", scope=scope, **named)

    a_round()

    assert [row.thing_name for row in Alert.objects.all()] == ["here"]


# -- pending, twice, blind ----------------------------------------------------------------------------------


def test_an_alert_is_pending_for_as_long_as_the_rule_says_and_tells_nobody():
    a_rule("host_lost", for_s=60, channels=[a_channel()])
    lost_hosts("alpha")

    a_round()
    a_round(after_s=50)
    assert (states(), notices()) == (["pending"], [])

    a_round(after_s=60)
    assert (states(), notices()) == (["firing"], [("fired", "alpha")])


def test_a_pending_alert_that_comes_to_nothing_leaves_nothing():
    a_rule("host_lost", for_s=60)
    (host,) = lost_hosts("alpha")
    a_round()

    find(host)
    a_round(after_s=10)

    assert states() == []


def test_the_database_refuses_a_second_open_alert_of_one_rule_and_thing():
    a_rule("host_lost")
    lost_hosts("alpha")
    a_round()
    alert = Alert.objects.get()

    alert.pk = None
    alert._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save()


def test_rounds_at_the_same_time_make_one_alert_and_one_notice(database_for_threads: Threads):
    database_for_threads.run(lambda: prepare("alpha", "beta", "gamma"))
    now = timezone.now()

    def rounds() -> None:
        for _ in range(3):
            alerts_evaluate(quiet_store(), quiet_store(), now, LIMIT_S)

    database_for_threads.run(*[rounds] * 4)

    told = database_for_threads.run(notices)[0]
    assert sorted(told) == [("fired", "alpha"), ("fired", "beta"), ("fired", "gamma")]
    assert database_for_threads.run(states) == [["firing"] * 3]


def prepare(*names: str) -> None:
    only_rules_of_the_test()
    a_rule("host_lost", channels=[a_channel()])
    lost_hosts(*names)


def test_a_store_that_is_away_leaves_alerts_as_they_are_and_is_told_of():
    channel = a_channel()
    rule = a_rule(metric="stowage_host_memory_used_ratio", threshold=95)
    a_rule("alerting_blind", channels=[channel])
    host = host_make()
    thing = {"thing_kind": "host", "thing_id": str(host.pk), "thing_name": host.name}
    now = timezone.now()
    moments = {"since": now, "fired_at": now, "last_seen_at": now, "told_at": now}
    Alert.objects.create(
        rule=rule, rule_name=rule.name, severity="warning", state="firing", sentence="x", **thing, **moments
    )

    for after_s in (0, 30, 60):
        assert a_round(away(), after_s=after_s).blind == "The metrics store does not answer."

    assert Alert.objects.get(rule=rule).state == "firing"
    blind = Alert.objects.get(rule__event="alerting_blind")
    assert "stay as they are" in blind.sentence
    assert notices() == [("fired", "the metrics store")]

    a_round(after_s=70)
    a_round(after_s=100)
    assert Alert.objects.get(pk=blind.pk).state == "resolved"
    assert Alert.objects.get(rule=rule).state == "firing"  # no data is not an end


def test_a_store_that_is_away_is_asked_once_a_round():
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ReadTimeout("slow")

    for _ in range(5):
        a_rule(metric="stowage_host_load_1m", threshold=5)
    a_round(MetricsStore("http://store", transport=httpx.MockTransport(answer)))

    assert len(asked) == 1


def test_a_query_that_the_store_refuses_stops_only_its_own_rule():
    def answer(request: httpx.Request) -> httpx.Response:
        if "load" in request.url.params["query"]:
            return httpx.Response(422, text="no")
        return httpx.Response(200, json={"data": {"result": []}})

    refused = a_rule(metric="stowage_host_load_1m", threshold=5)
    other = a_rule(metric="stowage_host_memory_used_ratio", threshold=5)
    outcome = a_round(MetricsStore("http://store", transport=httpx.MockTransport(answer)))

    assert outcome.blind == ""
    refused.refresh_from_db()
    other.refresh_from_db()
    assert refused.failure and refused.evaluated_at is None
    assert not other.failure and other.evaluated_at is not None


def test_a_round_that_is_out_of_time_leaves_the_rest_to_the_next_which_begins_there():
    first, second = a_rule("host_lost"), a_rule("operation_stuck")
    now = timezone.now()
    AlertRule.objects.filter(pk=first.pk).update(evaluated_at=now - timedelta(seconds=20))
    AlertRule.objects.filter(pk=second.pk).update(evaluated_at=now - timedelta(seconds=10))

    assert alerts_evaluate(quiet_store(), quiet_store(), now, limit_s=-1).looked == 0
    alerts_evaluate(quiet_store(), quiet_store(), now, LIMIT_S)

    assert AlertRule.objects.filter(evaluated_at=now).count() == 2


# -- quiet --------------------------------------------------------------------------------------------------


def test_a_host_in_maintenance_is_recorded_in_silence_and_told_when_maintenance_ends():
    a_rule("host_lost", channels=[a_channel()])
    lost_hosts("alpha")
    Host.objects.update(is_in_maintenance=True)

    a_round()
    a_round(after_s=30)
    assert Alert.objects.get().silenced_by == "alpha is in maintenance."
    assert notices() == []

    Host.objects.update(is_in_maintenance=False)
    a_round(after_s=60)
    assert Alert.objects.get().silenced_by == ""
    assert notices() == [("fired", "alpha")]


def test_the_workloads_of_a_host_in_maintenance_are_silent_too():
    a_rule("workload_crashed", channels=[a_channel()])
    vm_make(host_make("alpha", is_in_maintenance=True), state="crashed")
    vm_make(host_make("beta"), "loud", state="crashed")

    a_round()

    assert notices() == [("fired", "loud")]


def test_what_fired_and_ended_in_silence_is_never_told():
    a_rule("host_lost", channels=[a_channel()])
    (host,) = lost_hosts("alpha")
    Host.objects.update(is_in_maintenance=True)
    a_round()

    find(host)
    a_round(after_s=30)
    a_round(after_s=60)

    assert (states(), notices()) == (["resolved"], [])


@pytest.mark.parametrize("about", ["rule", "site", "host", "thing", "everything"])
def test_a_silence_by_hand_is_kept_until_its_end(about: str):
    rule = a_rule("host_lost", channels=[a_channel()])
    (host,) = lost_hosts("alpha")
    named: dict[str, Any] = {
        "rule": {"rule": rule},
        "site": {"site": host.rack.site},
        "host": {"host": host},
        "thing": {"thing_kind": "host", "thing_id": str(host.pk)},
        "everything": {},
    }[about]
    until = timezone.now() + timedelta(seconds=60)
    Silence.objects.create(reason="new switch", by_name="ops", until=until, **named)

    a_round()
    assert notices() == []
    assert "Silenced by ops" in Alert.objects.get().silenced_by

    a_round(after_s=61)
    assert notices() == [("fired", "alpha")]


def test_a_silence_about_another_thing_silences_nothing():
    a_rule("host_lost", channels=[a_channel()])
    alpha, _ = lost_hosts("alpha", "beta")
    until = timezone.now() + timedelta(seconds=60)
    Silence.objects.create(reason="x", by_name="ops", until=until, host=alpha)

    a_round()

    assert notices() == [("fired", "beta")]


# -- telling --------------------------------------------------------------------------------------------------


def test_reminders_come_while_nobody_acknowledges():
    a_rule("host_lost", channels=[a_channel()], remind_hours=1)
    lost_hosts("alpha")
    for hours in (0, 0.5, 1, 1.5, 2):
        a_round(after_s=3600 * hours)
    assert [event for event, _ in notices()] == ["fired", "reminder", "reminder"]

    Alert.objects.update(acknowledged_at=timezone.now())
    a_round(after_s=3600 * 4)

    assert AlertNotice.objects.filter(event="reminder").count() == 2


def test_an_end_is_told_to_those_who_were_told_of_the_beginning():
    told, new = a_channel(), a_channel()
    rule = a_rule("host_lost", channels=[told])
    (host,) = lost_hosts("alpha")
    a_round()
    AlertNotice.objects.update(state="sent")
    rule.channels.add(new)

    find(host)
    a_round(after_s=30)
    a_round(after_s=60)

    assert AlertNotice.objects.filter(event="resolved").values_list("channel", flat=True).get() == told.pk


def test_what_ends_before_anybody_was_told_is_told_to_nobody():
    a_rule("host_lost", channels=[a_channel()])
    (host,) = lost_hosts("alpha")
    a_round()

    find(host)
    a_round(after_s=20)
    a_round(after_s=45)

    assert list(AlertNotice.objects.values_list("event", "state")) == [("fired", "dropped")]


def test_what_waits_behind_a_channel_that_fails_is_told_with_its_end():
    a_rule("host_lost", channels=[a_channel()])
    (host,) = lost_hosts("alpha")
    a_round()

    find(host)
    a_round(after_s=300)
    a_round(after_s=330)

    assert sorted(AlertNotice.objects.values_list("event", "state")) == [("fired", "waiting"), ("resolved", "waiting")]


def test_alerts_are_forgotten_half_a_year_after_their_end_and_never_before():
    a_rule("host_lost")
    lost_hosts("old", "young", "open")
    a_round()
    now = timezone.now()
    for name, days in (("old", 181), ("young", 179)):
        Alert.objects.filter(thing_name=name).update(state="resolved", resolved_at=now - timedelta(days=days))
    Alert.objects.filter(thing_name="open").update(since=now - timedelta(days=400))

    assert alerts_forget(now) == 1

    assert set(Alert.objects.values_list("thing_name", flat=True)) == {"young", "open"}
