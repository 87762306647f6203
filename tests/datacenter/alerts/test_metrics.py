"""Rules on metrics and forecasts, asked of a real VictoriaMetrics."""

from __future__ import annotations

import math
import random
import time
import uuid as uuids
from collections.abc import Callable

import pytest
from django.utils import timezone

from datacenter.alerts import forecast, metrics
from datacenter.alerts.measures import OPEN_MOST, measures
from datacenter.alerts.reading import Verdict
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.models import Alert, AlertRule
from hosts.models import Host, PoolMount
from tests.datacenter.alerts.world import a_round, a_rule, host_samples, only_rules_of_the_test
from tests.datacenter.metrics.test_store import make_searchable
from tests.factories import host_make, rack_make, vm_make
from workloads.models import Workload

pytestmark = pytest.mark.django_db
GIB = 2.0**30
DAY_S = 86400
MEMORY = "stowage_host_memory_used_bytes"


@pytest.fixture(autouse=True)
def no_ready_rules(db: None) -> None:
    only_rules_of_the_test()


def gauge(host: Host, name: str, value: float, at: float) -> list[Sample]:
    labels = {"host_uuid": str(host.pk), "host": host.name, "site": host.rack.site.name}
    return [Sample(name, labels, value, at - 5 * number) for number in range(4)]


def use(store: MetricsStore, host: Host, gib: float) -> float:
    """The host uses so much memory just now; when that is."""
    at = time.time()
    store.write(host_samples(host, gib * GIB, 100 * GIB, at))
    make_searchable(store)
    return at


def verdicts(rule: AlertRule, store: MetricsStore, at: float, *open_hosts: Host) -> dict[str, Verdict]:
    readings = metrics.look(rule, store, [str(host.pk) for host in open_hosts], at)
    return {reading.thing.name: reading.verdict for reading in readings}


def test_one_query_tells_what_is_over_and_leaves_out_what_is_well(store: MetricsStore):
    busy, idle = host_make(), host_make()
    at = max(use(store, busy, 96), use(store, idle, 20))
    rule = a_rule(metric=MEMORY, threshold=95)

    assert verdicts(rule, store, at) == {busy.name: Verdict.WRONG}
    assert verdicts(rule, store, at, idle) == {busy.name: Verdict.WRONG, idle.name: Verdict.WELL}


def test_a_value_within_the_margin_is_near(store: MetricsStore):
    host = host_make()
    at = use(store, host, 93)

    assert verdicts(a_rule(metric=MEMORY, threshold=95), store, at, host) == {host.name: Verdict.NEAR}


def test_a_rule_may_wait_for_too_little(store: MetricsStore):
    low, high = host_make(), host_make()
    at = max(use(store, low, 1), use(store, high, 50))
    rule = a_rule(metric=MEMORY, threshold=2, comparison="below", scope="site", site=low.rack.site)

    assert verdicts(rule, store, at) == {low.name: Verdict.WRONG}


def test_a_ratio_is_given_in_percent(store: MetricsStore):
    host, at = host_make(), time.time()
    store.write(gauge(host, "stowage_host_memory_used_ratio", 0.97, at))
    make_searchable(store)

    (reading,) = metrics.look(a_rule(metric="stowage_host_memory_used_ratio", threshold=95), store, [], at)

    assert reading.value == pytest.approx(97)
    assert reading.sentence == f"{host.name}: Memory in use, of what the host has: 97 %. The limit is 95 %."


def test_a_counter_is_watched_by_its_rate_and_begins_anew_without_alarm(store: MetricsStore):
    vm, at = vm_make(host_make()), time.time()
    labels = {"workload_uuid": str(vm.pk), "kind": "vm", "site": "lab"}
    name = "stowage_workload_disk_written_bytes_total"
    values = [9e12 + 50 * 2**20 * 5 * step if step < 6 else 50 * 2**20 * 5 * (step - 6) for step in range(13)]
    store.write([Sample(name, labels, value, at - 60 + 5 * step) for step, value in enumerate(values)])
    make_searchable(store)

    (reading,) = metrics.look(a_rule(metric=name, threshold=10), store, [], at)

    assert reading.thing.name == vm.name
    assert 30 < reading.value < 60  # MiB/s; not the millions that a fall to zero would be


def test_of_several_parts_the_worst_counts(store: MetricsStore):
    host, at = host_make(), time.time()
    labels = {"host_uuid": str(host.pk), "host": host.name, "site": "lab"}
    for sensor, celsius in (("cpu0", 50), ("cpu1", 91)):
        store.write([Sample("stowage_host_temperature_celsius", labels | {"sensor": sensor}, celsius, at - 5)])
    make_searchable(store)

    (reading,) = metrics.look(a_rule(metric="stowage_host_temperature_celsius", threshold=90), store, [], at)

    assert reading.value == 91


def test_a_single_peak_of_five_seconds_is_no_alarm(store: MetricsStore):
    host, at = host_make(), time.time()
    samples = host_samples(host, 10 * GIB, 100 * GIB, at, count=6)
    samples[2] = Sample(samples[2].metric, samples[2].labels, 99 * GIB, samples[2].at)
    store.write(samples)
    make_searchable(store)

    assert verdicts(a_rule(metric=MEMORY, threshold=95), store, at) == {}


def test_the_scope_of_a_host_holds_for_workloads_whose_series_name_no_host(store: MetricsStore):
    here, there = host_make(), host_make()
    at = time.time()
    for host in (here, there):
        vm = vm_make(host, f"on-{host.name}")
        labels = {"workload_uuid": str(vm.pk), "kind": "vm", "site": "lab"}
        store.write([Sample("stowage_workload_cpu_used_cores", labels, 3, at - 5)])
    make_searchable(store)
    rule = a_rule(metric="stowage_workload_cpu_used_cores", threshold=2, scope="host", host=here)

    assert verdicts(rule, store, at) == {f"on-{here.name}": Verdict.WRONG}


def test_what_is_not_in_the_inventory_is_left_out(store: MetricsStore):
    host = Host(pk=uuids.uuid4(), name="stranger", rack=rack_make())
    at = use(store, host, 99)

    assert verdicts(a_rule(metric=MEMORY, threshold=95), store, at) == {}


def test_more_open_alerts_than_a_query_holds_are_asked_for_all_the_same(store: MetricsStore):
    host = host_make()
    at = use(store, host, 20)
    strangers = [str(uuids.uuid4()) for _ in range(OPEN_MOST)]

    readings = metrics.look(a_rule(metric=MEMORY, threshold=95), store, [*strangers, str(host.pk)], at)

    assert {reading.thing.name: reading.verdict for reading in readings} == {host.name: Verdict.WELL}


def test_what_is_counted_for_a_site_or_for_all_of_them_is_watched_too(store: MetricsStore):
    site, at = host_make().rack.site, time.time()
    store.write([Sample("stowage_site_power_model_watts", {"site": site.name}, 900, at - 70)])
    store.write([Sample("stowage_site_operations", {"state": "queued"}, 50, at - 70)])
    make_searchable(store)

    (watts,) = metrics.look(a_rule(metric="stowage_site_power_model_watts", threshold=800), store, [], at)
    (queued,) = metrics.look(a_rule(metric="stowage_site_operations", threshold=40), store, [], at)

    assert (watts.thing.key, watts.thing.site_id) == (("site", site.name), site.pk)
    assert queued.thing.kind == "datacenter"


@pytest.mark.parametrize("comparison", ["above", "below"])
def test_the_store_understands_the_query_of_every_metric(store: MetricsStore, comparison: str):
    open_ids = [str(uuids.uuid4()) for _ in range(OPEN_MOST)]

    for measure in measures().values():
        for ids in ([], open_ids, [*open_ids, "one more"]):
            store.query(measure.query(comparison, 1.0, [("site", "lab")], ids))


def test_a_metric_alert_lives_from_pending_to_its_end_and_survives_a_gap(store: MetricsStore):
    host = host_make()
    a_rule(metric=MEMORY, threshold=95, for_s=60)
    alert = Alert.objects.filter(thing_name=host.name)
    use(store, host, 97)

    a_round(store)
    assert alert.get().state == "pending"
    use(store, host, 98)
    a_round(store, after_s=61)
    assert alert.get().state == "firing"

    a_round(after_s=200)  # a store that has nothing to tell of it: nobody knows
    a_round(after_s=230)
    assert alert.get().state == "firing"

    use(store, host, 10)
    make_old(store, host)
    a_round(store, after_s=240)
    a_round(store, after_s=270)
    assert alert.get().state == "resolved"


def make_old(store: MetricsStore, host: Host) -> None:
    """Fills the last half minute with the newest value, so that its mean is that value."""
    at = time.time()
    store.write(host_samples(host, 1 * GIB, 100 * GIB, at, count=1))
    rows = [Sample(MEMORY, host_samples(host, 0, 0, at)[0].labels, 1 * GIB, at - 0.2 * step) for step in range(150)]
    store.write(rows)
    make_searchable(store)


def test_an_alert_on_a_workload_that_was_stopped_ends(store: MetricsStore):
    vm, at = vm_make(host_make()), time.time()
    labels = {"workload_uuid": str(vm.pk), "kind": "vm", "site": "lab"}
    store.write([Sample("stowage_workload_cpu_used_cores", labels, 3, at - 5)])
    make_searchable(store)
    a_rule(metric="stowage_workload_cpu_used_cores", threshold=2)
    alert = Alert.objects.filter(thing_name=vm.name)
    a_round(store)
    assert alert.get().state == "firing"

    Workload.objects.filter(pk=vm.pk).update(state="stopped")
    a_round(store, after_s=10)

    assert alert.get().state == "resolved"


# -- forecasts -----------------------------------------------------------------------------------------------


def remember(store: MetricsStore, pool: str, used_gib: Callable[[float], float], days: float = 4) -> float:
    """A pool of 100 GiB whose use over the last days is a function of the day (0 is now); when "now" is."""
    now = time.time() // 300 * 300
    labels = {"pool_id": pool, "pool": "local", "site": "lab", "aggregate": "avg"}
    samples = []
    for step in range(int(days * DAY_S / 300) + 1):
        at = now - 300 * step
        used = used_gib((at - now) / DAY_S)
        samples.append(Sample(forecast.POOL_USED, labels, used * GIB, at))
        samples.append(Sample(forecast.POOL_CAPACITY, labels, 100 * GIB, at))
    store.write(samples)
    make_searchable(store)
    return now


def foretold(store: MetricsStore, used_gib: Callable[[float], float], days: float = 4, *, is_open: bool = False):
    """What is said of such a pool, and the days that are left by it; None where nothing is said."""
    host = host_make()
    pool = PoolMount.objects.get(host=host).pool.pool_id
    now = remember(store, pool, used_gib, days)
    rule = a_rule("full_soon", threshold=7, scope="host", host=host)
    readings = forecast.look(rule, store, [pool] if is_open else [], timezone.now(), now)
    return next(((reading.verdict, reading.value) for reading in readings if reading.thing.id == pool), None)


def test_a_pool_that_fills_by_five_gib_a_day_is_foretold(store: MetricsStore):
    chance = random.Random(1)
    verdict, days = foretold(store, lambda day: 80 + 5 * day + chance.uniform(-1, 1))

    assert verdict is Verdict.WRONG
    assert days == pytest.approx(4, rel=0.15)


def test_a_pool_that_is_nearly_full_and_quiet_is_not_foretold(store: MetricsStore):
    chance = random.Random(2)

    assert foretold(store, lambda day: 98 + chance.uniform(-0.3, 0.3)) is None


def test_one_large_copy_that_has_ended_is_not_foretold(store: MetricsStore):
    assert foretold(store, lambda day: 40 if day < -1 else 80) is None


def test_a_daily_rise_and_fall_is_not_foretold(store: MetricsStore):
    assert foretold(store, lambda day: 80 + 15 * math.sin(2 * math.pi * day)) is None


def test_less_than_a_day_of_history_foretells_nothing(store: MetricsStore):
    assert foretold(store, lambda day: 80 + 30 * day, days=0.5) is None


def test_a_pool_that_fills_slowly_is_not_foretold(store: MetricsStore):
    assert foretold(store, lambda day: 50 + 2 * day) is None


def test_an_open_forecast_goes_on_through_a_quiet_hour_and_ends_when_the_days_say_so(store: MetricsStore):
    paused = foretold(store, lambda day: 80 + 5 * min(day, -0.25), is_open=True)
    emptied = foretold(store, lambda day: 80 if day < -1 else 20, is_open=True)

    assert paused is not None and paused[0] is Verdict.NEAR
    assert emptied is not None and emptied[0] is Verdict.WELL


def test_a_hosts_memory_is_foretold_beside_its_disk(store: MetricsStore):
    host = host_make()
    now = time.time() // 300 * 300
    labels = {"host_uuid": str(host.pk), "host": host.name, "site": "lab", "aggregate": "avg"}
    samples = []
    for step in range(4 * 288):
        day = -step / 288
        for name, used in (("memory", 80 + 8 * day), ("disk", 80 + 6 * day)):
            samples.append(Sample(f"stowage_host_{name}_used_bytes", labels, used * GIB, now - 300 * step))
            samples.append(Sample(f"stowage_host_{name}_capacity_bytes", labels, 100 * GIB, now - 300 * step))
    store.write(samples)
    make_searchable(store)

    readings = forecast.look(a_rule("full_soon", scope="host", host=host), store, [], timezone.now(), now)

    assert sorted(reading.thing.id for reading in readings) == [f"{host.pk}|disk", f"{host.pk}|memory"]


def test_the_pools_are_remembered_by_their_last_heard_host():
    host = host_make()
    PoolMount.objects.update(free_gib=25)

    used, capacity = forecast.pool_samples(1000.0, timezone.now())

    assert (used.metric, used.value, used.at) == (forecast.POOL_USED, 75 * GIB, 1000.0)
    assert capacity.value == 100 * GIB
    assert used.labels["site"] == host.rack.site.name and used.labels["aggregate"] == "avg"
