"""Demand profiles out of a real VictoriaMetrics: right by the hour of the week, in few queries, and kept compactly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import httpx
import pytest

from datacenter import tasks
from datacenter.metrics import past_weeks
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.metrics.week import Week, hour_of_week, quantile
from datacenter.models import DemandProfile
from datacenter.services import profiling
from datacenter.services.profiling import profiles_refresh
from hosts.errors import Unreachable
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store
from tests.factories import host_make, vm_make

pytestmark = pytest.mark.django_db
# a Thursday, shortly after eleven
NOW = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)
CPU, READ, WRITTEN = (
    "stowage_workload_cpu_used_cores",
    "stowage_workload_disk_read_bytes_total",
    "stowage_workload_disk_written_bytes_total",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsStore]:
    with running_store(tmp_path_factory.mktemp("store"), "13") as (_, client):
        yield client


def write(store: MetricsStore, vm: Any, metric: str, statistic: str, value_of: Any, days: int = 29) -> None:
    """Five-minute aggregates up to NOW, by the end of their bucket; the point stands a minute before it."""
    labels = {"workload_uuid": str(vm.pk), "kind": "vm", "site": "lab", "aggregate": statistic}
    end = NOW.timestamp() // 300 * 300
    buckets = [end - 300 * number for number in range(288 * days)]
    store.write([Sample(metric, labels, value_of(bucket), bucket - 60) for bucket in buckets])
    make_searchable(store)


def hour_of(bucket: float) -> int:
    return hour_of_week(datetime.fromtimestamp(bucket - 150, UTC))


def refreshed(store: MetricsStore, now: datetime = NOW) -> int:
    """Runs until it says that it is done; how many runs."""
    since, runs = None, 0
    while True:
        since, runs = profiles_refresh(store, now, since), runs + 1
        if since is None:
            return runs


def week_of(vm: Any, resource: str = "cpu") -> Week:
    return Week(DemandProfile.objects.get(workload=vm, resource=resource).hours)


@needs_store
def test_each_hour_of_the_week_has_its_own_figures(store: MetricsStore):
    vm = vm_make(host_make())
    write(store, vm, CPU, "avg", lambda bucket: float(hour_of(bucket)))
    write(store, vm, CPU, "max", lambda bucket: hour_of(bucket) + 0.5)

    assert refreshed(store) == 7

    week = week_of(vm)
    assert week.hours_of("median") == week.hours_of("p95") == week.hours_of("p99") == [float(h) for h in range(168)]
    assert week.hours_of("peak") == [hour + 0.5 for hour in range(168)]
    assert set(week.counts) == {48}


@needs_store
def test_the_weeks_of_one_hour_are_taken_together(store: MetricsStore):
    vm = vm_make(host_make())
    first_week = NOW.timestamp() - 21 * 86400
    write(store, vm, CPU, "avg", lambda bucket: 4.0 if bucket < first_week else 1.0)
    refreshed(store)

    week = week_of(vm)

    assert set(week.hours_of("median")) == {1.0}
    assert set(week.hours_of("p95")) == {4.0}
    assert set(week.hours_of("peak")) == {4.0}, "without highest samples, the highest average"


@needs_store
def test_what_reads_and_writes_is_one_demand(store: MetricsStore):
    vm = vm_make(host_make())
    for metric, value in ((READ, 300.0), (WRITTEN, 200.0)):
        write(store, vm, metric, "avg", lambda _, value=value: value)
    refreshed(store)

    assert set(week_of(vm, "disk").hours_of("median")) == {500.0}


@needs_store
def test_an_hour_later_only_that_hour_is_asked_for(store: MetricsStore, monkeypatch: Any):
    vm = vm_make(host_make())
    write(store, vm, CPU, "avg", lambda bucket: 1.0)
    refreshed(store)
    asked: list[float] = []
    read = store.rows_range
    monkeypatch.setattr(store, "rows_range", lambda *args: asked.append(args[2] - args[1]) or read(*args))

    assert refreshed(store, NOW + timedelta(hours=1)) == 1
    assert asked == [3300.0, 0.0] * len(past_weeks.KEYS) * past_weeks.WEEKS, "twelve averages and a peak each"
    assert profiles_refresh(store, NOW + timedelta(hours=1)) is None
    assert len(asked) == 32


@needs_store
def test_what_nobody_knows_gets_no_profile_and_what_was_not_sampled_is_not_known(store: MetricsStore):
    vm = vm_make(host_make())
    write(store, vm, CPU, "avg", lambda bucket: 1.0, days=2)
    refreshed(store)

    assert DemandProfile.objects.count() == 1
    assert week_of(vm).hours_known in (48, 49)
    assert None in week_of(vm).hours_of("peak")


@needs_store
def test_hours_in_which_nothing_ran_for_weeks_are_forgotten(store: MetricsStore):
    vm = vm_make(host_make())
    old = Week()
    for hour in range(168):
        old.put(hour, [9.0], [9.0])
    DemandProfile.objects.create(
        workload=vm, resource="cpu", hours=old.packed, refreshed_until=NOW - timedelta(hours=2, minutes=10)
    )

    refreshed(store)

    assert week_of(vm).hours_known == 166


@needs_store
def test_large_answers_are_asked_for_in_pieces_and_come_to_the_same(store: MetricsStore, monkeypatch: Any):
    vm = vm_make(host_make())
    write(store, vm, CPU, "avg", lambda bucket: float(hour_of(bucket)))
    monkeypatch.setattr(profiling, "POINTS_A_QUERY", 5 * 12)
    refreshed(store)

    assert week_of(vm).hours_of("median") == [float(hour) for hour in range(168)]


@needs_store
def test_hours_are_those_of_the_settings_clock(store: MetricsStore, settings: Any):
    settings.TIME_ZONE = "Asia/Kolkata"
    zone = ZoneInfo("Asia/Kolkata")
    vm = vm_make(host_make())
    write(store, vm, CPU, "avg", lambda bucket: float(datetime.fromtimestamp(bucket - 150, zone).hour), days=14)
    refreshed(store)

    known = [(hour % 24, value) for hour, value in enumerate(week_of(vm).hours_of("median")) if value is not None]
    assert len(known) == 168
    assert all(hour == value for hour, value in known)


def test_a_store_that_is_away_leaves_what_is_known_and_is_tried_in_an_hour(monkeypatch: Any):
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    vm = vm_make(host_make())
    DemandProfile.objects.create(workload=vm, resource="cpu", hours=Week().packed, refreshed_until=NOW)
    store = MetricsStore("http://store", transport=httpx.MockTransport(away))

    with pytest.raises(Unreachable):
        profiles_refresh(store, NOW + timedelta(hours=5))
    tasks.profiles()
    assert DemandProfile.objects.count() == 1


def test_a_change_of_the_clocks_neither_fails_nor_asks_for_nothing():
    asked: list[dict[str, list[str]]] = []
    nothing = httpx.Response(200, json={"data": {"result": []}})
    store = MetricsStore(
        "http://s",
        transport=httpx.MockTransport(lambda request: asked.append(parse_qs(request.content.decode())) or nothing),
    )
    zone = ZoneInfo("Europe/Berlin")

    for day in (datetime(2026, 3, 29, 2, tzinfo=zone), datetime(2026, 10, 25, 2, tzinfo=zone)):
        past_weeks.hours_read(store, "cpu", day, 1)

    assert asked
    assert not [one for one in asked if float(one["start"][0]) > float(one["end"][0])]


def test_a_packed_week_is_small_and_comes_back():
    week = Week()
    week.put(5, [1.0, 2.0, 3.0], [9.0])

    again = Week(week.packed)

    assert len(week.packed) == 3360
    assert (again.hours_of("median")[5], again.hours_of("peak")[5], again.counts[5]) == (2.0, 9.0, 3)
    assert again.hours_of("median")[4] is None
    again.put(5, [], [])
    assert again.hours_known == 0


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.5), (0.95, 3.85), (1.0, 4.0)])
def test_a_quantile_lies_between_its_neighbours(share: float, value: float):
    assert quantile([1.0, 2.0, 3.0, 4.0], share) == pytest.approx(value)
