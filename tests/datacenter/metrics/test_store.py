"""Writing to and asking the metrics store: the text format alone, and a real VictoriaMetrics where there is one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from datacenter.metrics.aggregates import BUCKET_S, aggregate, buckets_due
from datacenter.metrics.demand import demand_p95
from datacenter.metrics.store import MetricsStore, Sample, exposition_line
from hosts.errors import Rejected, TimedOut, Unreachable

PROGRAM = shutil.which("victoria-metrics")


def test_a_line_carries_the_samples_own_time_and_quotes_hostile_labels():
    line = exposition_line(Sample("stowage_host_load_1m", {"host": 'a"\n}b\\'}, 0.5, 1700000000.25))

    assert line == 'stowage_host_load_1m{host="a\\"\\n}b\\\\"} 0.5 1700000000250'


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (httpx.ReadTimeout("slow"), TimedOut),
        (httpx.ConnectError("nobody"), Unreachable),
        (httpx.Response(400, text="bad query"), Rejected),
        (httpx.Response(200, text="no json"), Rejected),
        (httpx.Response(200, json={"status": "success"}), Rejected),
    ],
)
def test_each_failure_of_the_store_has_its_kind(failure: Exception | httpx.Response, kind: type[Exception]):
    def answer(request: httpx.Request) -> httpx.Response:
        if isinstance(failure, Exception):
            raise failure
        return failure

    store = MetricsStore("http://store", transport=httpx.MockTransport(answer))

    with pytest.raises(kind):
        store.query("up")


def test_a_store_that_is_away_gives_no_demand():
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    assert demand_p95(MetricsStore("http://store", transport=httpx.MockTransport(away)), "berlin", 168) == {}


def test_buckets_are_due_once_complete_and_a_day_back_at_most():
    assert list(buckets_due(done_until=600, now=1219)) == [900]
    assert list(buckets_due(done_until=600, now=1221)) == [900, 1200]
    assert list(buckets_due(done_until=1200, now=1221)) == []
    assert len(list(buckets_due(done_until=0, now=10 * 86400))) == 288


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsStore]:
    """A VictoriaMetrics of its own on a free port."""
    if PROGRAM is None:
        pytest.skip("victoria-metrics is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data: Path = tmp_path_factory.mktemp("store")
    flags = ["-retentionPeriod=30d", "-search.latencyOffset=0s", "-search.cacheTimestampOffset=1h"]
    process = subprocess.Popen(
        [PROGRAM, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={data}", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = MetricsStore(f"http://127.0.0.1:{port}")
        until = time.monotonic() + 15
        while True:
            try:
                client.query("1")
                break
            except Unreachable:
                assert time.monotonic() < until
                time.sleep(0.05)
        yield client
        client.close()
    finally:
        process.terminate()
        process.wait(10)


def make_searchable(store: MetricsStore) -> None:
    """Fresh samples are otherwise searchable some seconds after they were written."""
    store._client.get("/internal/force_flush").raise_for_status()


def test_demand_is_the_p95_of_minutes_of_samples_by_workload(store: MetricsStore):
    now = time.time()
    labels = {"workload_uuid": "w-1", "kind": "vm", "site": "berlin"}
    samples = [
        Sample("stowage_workload_cpu_used_cores", labels, float(number), now - 5 * (100 - number))
        for number in range(100)
    ]
    samples.append(Sample("stowage_workload_memory_used_bytes", labels, 512 * 2**20, now - 10))
    samples.append(
        Sample("stowage_workload_cpu_used_cores", labels | {"site": "paris", "workload_uuid": "w-2"}, 9, now)
    )
    store.write(samples)
    make_searchable(store)

    demand = demand_p95(store, "berlin", 168)

    assert demand.keys() == {"w-1"}
    assert demand["w-1"].cpu_cores == pytest.approx(94, abs=1.5)
    assert demand["w-1"].memory_mib == 512


def aggregates_at(store: MetricsStore, metric: str, end: float) -> dict[str, float]:
    rows = store.query(f'{metric}{{aggregate!=""}}', at=end)
    return {row.labels["aggregate"]: row.points[0][1] for row in rows}


def test_aggregates_of_a_bucket_are_written_and_repeating_them_changes_nothing(store: MetricsStore):
    end = time.time() // BUCKET_S * BUCKET_S - BUCKET_S
    samples = [Sample("stowage_host_load_1m", {"host": "alpha"}, float(value), end - 10 * value) for value in (1, 2, 3)]
    store.write(samples)
    make_searchable(store)

    assert aggregate(store, store, end, end + 20) == aggregate(store, store, end, end + 20) >= 4

    make_searchable(store)
    values = aggregates_at(store, "stowage_host_load_1m", end)
    assert (values["min"], values["avg"], values["max"]) == (1, 2, 3)


def test_a_bucket_made_again_for_late_samples_has_the_newer_aggregates(store: MetricsStore):
    end = time.time() // BUCKET_S * BUCKET_S - 5 * BUCKET_S
    labels = {"host": "late"}
    store.write([Sample("stowage_host_load_5m", labels, 8.0, end - 200)])
    make_searchable(store)
    aggregate(store, store, end, end + 20)
    store.write([Sample("stowage_host_load_5m", labels, 2.0, end - 100)])
    make_searchable(store)

    aggregate(store, store, end, end + 3600)

    make_searchable(store)
    assert aggregates_at(store, "stowage_host_load_5m", end) == {"min": 2, "avg": 5, "p95": 7.7, "max": 8}


def test_a_counter_that_began_anew_gives_neither_negative_nor_giant_rates(store: MetricsStore):
    """A VM has one series: 100 bytes a second on one host, moved, and counted from nothing on the next."""
    end = time.time() // BUCKET_S * BUCKET_S - 10 * BUCKET_S
    labels = {"workload_uuid": "moved", "kind": "vm", "site": "berlin"}
    before = [(end - 300 + 5 * n, 5_000_000_000.0 + 500 * n) for n in range(30)]
    after = [(end - 145 + 5 * n, 500.0 * n) for n in range(30)]
    name = "stowage_workload_network_sent_bytes_total"
    store.write([Sample(name, labels, value, at) for at, value in before + after])
    make_searchable(store)

    (increase,) = store.query(f'increase({name}{{workload_uuid="moved"}}[5m])', at=end)
    (highest,) = store.query(f'max_over_time(rate({name}{{workload_uuid="moved"}}[10s])[4m:5s])', at=end - 20)
    aggregate(store, store, end, end + 20)
    make_searchable(store)

    assert increase.points[0][1] == pytest.approx(29_000, rel=0.05)  # 500 were sent unseen, during the move
    assert highest.points[0][1] == pytest.approx(100, rel=0.05)
    kept = aggregates_at(store, name, end)
    assert kept.keys() == {"avg", "p95", "max"}
    assert 90 <= kept["avg"] <= kept["p95"] <= kept["max"] <= 110
