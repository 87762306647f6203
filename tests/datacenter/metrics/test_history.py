"""Lines for charts, from a real VictoriaMetrics: rates, resets, gaps, sums, comparison, both stores."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from datacenter.metrics.history import History, Line, Thing, history, wanted_of
from datacenter.metrics.spans import span_of
from datacenter.metrics.store import MetricsStore, Sample
from tests.datacenter.metrics.real_store import make_searchable, needs_store, running_store

pytestmark = needs_store
NOW = time.time() // 3600 * 3600 - 3600.0
CPU, MEMORY = "stowage_workload_cpu_used_cores", "stowage_workload_memory_used_bytes"
READ, WRITTEN = "stowage_workload_disk_read_bytes_total", "stowage_workload_disk_written_bytes_total"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsStore]:
    with running_store(tmp_path_factory.mktemp("store"), "13") as (_, client):
        yield client


def workload(name: str) -> Thing:
    return Thing("workload", name, name)


def write(store: MetricsStore, name: str, metric: str, points: dict[float, float], **labels: str) -> None:
    """Values of a workload by seconds before NOW."""
    labels = {"workload_uuid": name, "kind": "vm", "site": "berlin", **labels}
    store.write([Sample(metric, labels, value, NOW - before) for before, value in points.items()])
    make_searchable(store)


def read(store: MetricsStore, topic: str, *things: Thing, length_s: float = 300.0, pixels: int = 800) -> History:
    several = len(things) > 1 or things[0].kind == "site"
    span = span_of(NOW - length_s, NOW, NOW + 10, pixels, coarsest=several)
    return history(wanted_of(topic, things), span, store)


def line(found: History, label: str) -> Line:
    return next(line for line in found.lines if label in line.label)


def at(found: History, label: str, before_s: float) -> float | None:
    """The line's value at so many seconds before NOW."""
    return line(found, label).values[found.times.index(NOW - before_s)]


def test_a_short_range_has_each_sample_at_its_own_time(store: MetricsStore):
    write(store, "each", CPU, {12.5: 1.0, 7.5: 2.0, 2.5: 3.0})

    found = read(store, "cpu", workload("each"))

    assert found.times == [NOW - 12.5, NOW - 7.5, NOW - 2.5]
    assert line(found, "CPU in use").values == [1.0, 2.0, 3.0]


def test_one_missing_sample_is_a_gap_and_jitter_is_none(store: MetricsStore):
    write(store, "gap", CPU, {30.0: 1, 24.0: 1, 20.5: 1, 15.0: 1, 5.0: 1, 0.0: 1})

    values = line(read(store, "cpu", workload("gap")), "CPU in use").values

    assert values == [1, 1, 1, 1, None, 1, 1]


def test_a_counter_is_shown_by_its_growth_and_a_reset_is_no_negative_rate(store: MetricsStore):
    write(store, "reset", READ, {20.0: 1000, 15.0: 1500, 10.0: 100, 5.0: 600})

    found = read(store, "disk", workload("reset"))

    assert line(found, "read").values == [None, 100, 20, 100]
    assert line(found, "read").unit == "bytes/s"


def test_a_counter_makes_no_bridge_over_a_gap(store: MetricsStore):
    write(store, "away", READ, {60.0: 0, 55.0: 500, 10.0: 5000, 5.0: 5500})

    values = line(read(store, "disk", workload("away")), "read").values

    assert values == [None, 100, None, None, 100]


def test_steps_of_an_hour_have_lowest_and_highest_of_their_samples(store: MetricsStore):
    write(store, "steps", CPU, {5.0 * number: float(number % 4) for number in range(720)})

    found = read(store, "cpu", workload("steps"), length_s=3600, pixels=300)
    cpu = line(found, "CPU in use")

    assert len(found.times) == 120 and None not in cpu.values
    assert (set(cpu.low), set(cpu.high)) == ({0.0}, {3.0})
    assert cpu.values[60] == pytest.approx(1.5, abs=0.6)


def test_a_step_makes_no_false_gap_where_samples_come_a_little_late(store: MetricsStore):
    late = {5.0 * number + (2.4 if number % 3 else 0.1): 1.0 for number in range(720)}
    write(store, "late", CPU, late)

    found = read(store, "cpu", workload("late"), length_s=3600, pixels=800)

    assert None not in line(found, "CPU in use").values


def test_minutes_without_samples_are_a_gap_in_steps_too(store: MetricsStore):
    write(store, "hole", CPU, {5.0 * number: 1.0 for number in range(720) if not 200 <= number < 300})
    write(store, "hole", READ, {5.0 * number: 1e6 - number for number in range(720) if not 200 <= number < 300})

    for topic, label in (("cpu", "CPU in use"), ("disk", "read")):
        found = read(store, topic, workload("hole"), length_s=3600)

        assert at(found, label, 1250) is None
        assert at(found, label, 500) is not None
        assert 0.0 not in line(found, label).values


def test_rates_in_steps_are_right_across_a_reset(store: MetricsStore):
    points = {5.0 * number: float((720 - number) % 400) * 500 for number in range(720)}
    write(store, "hour-reset", READ, points)

    values = line(read(store, "disk", workload("hour-reset"), length_s=3600), "read").values

    assert all(0 <= value <= 101 for value in values if value is not None)
    assert at(read(store, "disk", workload("hour-reset"), length_s=3600), "read", 300) == pytest.approx(100)


def test_a_long_range_has_average_band_and_p95_of_the_five_minute_store(store: MetricsStore):
    for statistic, value in (("min", 1.0), ("avg", 2.0), ("p95", 3.0), ("max", 4.0)):
        write(store, "long", CPU, {300.0 * number: value for number in range(288 * 7)}, aggregate=statistic)

    found = read(store, "cpu", workload("long"), length_s=7 * 86400)
    cpu = line(found, "CPU in use")

    assert (set(cpu.low), set(cpu.values), set(cpu.p95), set(cpu.high)) == ({1.0}, {2.0}, {3.0}, {4.0})


def test_aggregates_do_not_disturb_a_store_that_serves_as_both(store: MetricsStore):
    write(store, "both", CPU, {10.0: 1.0, 5.0: 1.0})
    write(store, "both", CPU, {0.0: 9.0}, aggregate="max")

    assert line(read(store, "cpu", workload("both")), "CPU in use").values == [1.0, 1.0]


def test_several_things_are_compared_by_their_first_line(store: MetricsStore):
    write(store, "one", CPU, {5.0 * number: 1.0 for number in range(60)})
    write(store, "two", CPU, {5.0 * number + 2: 2.0 for number in range(60)})

    found = read(store, "cpu", workload("one"), workload("two"))

    assert [line.label for line in found.lines] == ["one: CPU in use", "two: CPU in use"]
    assert None not in found.lines[0].values + found.lines[1].values


def test_a_site_is_the_sum_of_its_hosts_and_counts_them(store: MetricsStore):
    for number in range(3):
        labels = {"host_uuid": f"h{number}", "host": f"h{number}", "site": 'lo"ndon'}
        samples = [Sample("stowage_host_cpu_used_cores", labels, 2.0, NOW - 5 * tick) for tick in range(720)]
        store.write(samples)
    make_searchable(store)
    site = Thing("site", 'lo"ndon', "london")

    assert set(line(read(store, "cpu", site, length_s=3600), "CPU in use").values) == {6.0}
    assert set(line(read(store, "hosts", site, length_s=3600), "Hosts").values) == {3.0}


def test_parts_of_one_thing_are_added_and_the_hottest_sensor_counts(store: MetricsStore):
    for sensor, value in (("cpu", 60.0), ("disk", 40.0)):
        labels = {"host_uuid": "hot", "host": "hot", "site": "berlin", "sensor": sensor}
        store.write([Sample("stowage_host_temperature_celsius", labels, value, NOW - 5 * tick) for tick in range(720)])
    make_searchable(store)

    for length_s in (300.0, 3600.0):
        found = read(store, "temperature", Thing("host", "hot", "hot"), length_s=length_s)
        assert {value for value in found.lines[0].values if value is not None} == {60.0}


def test_what_has_no_samples_has_no_lines(store: MetricsStore):
    assert read(store, "network", workload("nobody")).lines == []
    assert read(store, "network", workload("nobody"), length_s=3600).lines == []


def test_a_bucket_that_was_made_again_counts_once_and_as_made_last(store: MetricsStore):
    buckets = {300.0 * number + 60: 1.0 for number in range(288 * 7)}
    write(store, "again", CPU, buckets | {before - 0.01: 5.0 for before in buckets}, aggregate="avg")

    for length_s in (86400, 7 * 86400):
        assert set(line(read(store, "cpu", workload("again"), length_s=length_s), "CPU in use").values) == {5.0}


def test_a_long_range_shows_counters_by_their_growth(store: MetricsStore):
    for statistic, value in (("avg", 2.0), ("p95", 3.0), ("max", 4.0)):
        write(store, "grown", READ, {300.0 * number: value for number in range(288 * 7)}, aggregate=statistic)

    found = line(read(store, "disk", workload("grown"), length_s=7 * 86400), "read")

    assert (found.low, set(found.values), set(found.p95), set(found.high)) == ([], {2.0}, {3.0}, {4.0})


@pytest.mark.parametrize("days", [1, 7, 30, 90, 366, 400])
def test_every_length_up_to_the_longest_is_answered(store: MetricsStore, days: int):
    write(store, f"year-{days}", CPU, {3600.0 * number: 2.0 for number in range(24 * days)}, aggregate="avg")

    found = read(store, "cpu", workload(f"year-{days}"), length_s=days * 86400)

    assert {value for value in line(found, "CPU in use").values if value is not None} == {2.0}
