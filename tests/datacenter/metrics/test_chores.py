"""The collector's chores against a real Redis; the stores answer from here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from datacenter.metrics.aggregates import BUCKET_S
from datacenter.metrics.chores import AGGREGATED_FIELD, LATE_REST_S, Chores
from datacenter.metrics.collector import Collector
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.storing import Storing
from datacenter.metrics.stream import LATE_KEY, POSITION_KEY, Reading
from tests.hosts.plane.redis_peer import RedisPeer


class Store:
    """A store that notes what it is asked and told."""

    def __init__(self) -> None:
        self.buckets: set[float] = set()  # whose values were asked for
        self.written = ""
        self.forgot = 0
        self.client = MetricsStore("http://store", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/query":
            self.buckets.add(float(request.url.params["time"]))
            row = {"metric": {"host": "alpha"}, "value": [0, "5"]}
            return httpx.Response(200, json={"data": {"result": [row]}})
        if request.url.path == "/internal/resetRollupResultCache":
            self.forgot += 1
        self.written += request.content.decode()
        return httpx.Response(204)


class Bench:
    def __init__(self, peer: RedisPeer) -> None:
        self.redis = peer.client
        self.raw, self.long = Store(), Store()
        self.storing, self.reading = Storing(lambda body: None), Reading()
        collector = Collector(lambda payloads: None, key_of=lambda kind, name: None)
        clients: Any = (self.redis, self.raw.client, self.long.client)
        self.chores = Chores(*clients, collector, self.storing, self.reading)
        self.stop = threading.Event()

    def late(self, end: float, noted_ago_s: float) -> None:
        self.redis.zadd(LATE_KEY, {str(end): time.time() - noted_ago_s})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    peer = RedisPeer(tmp_path)
    peer.start()
    yield Bench(peer)
    peer.kill()


def ended(buckets_ago: int) -> float:
    return (time.time() // BUCKET_S - buckets_ago) * BUCKET_S


def test_buckets_that_late_samples_fell_into_are_made_again_once_they_stop_coming(bench: Bench) -> None:
    first, second, fresh = ended(3), ended(2), ended(1)
    bench.late(first, LATE_REST_S + 5)
    bench.late(second, LATE_REST_S + 5)
    bench.late(fresh, 1)

    bench.chores.aggregates_again(bench.stop)

    assert bench.raw.buckets == {first, second}
    assert 'aggregate="p95"' in bench.long.written
    assert bench.redis.zrange(LATE_KEY, 0, -1) == [str(fresh).encode()]
    assert (bench.raw.forgot, bench.long.forgot) == (0, 0)


def test_stores_forget_what_they_worked_out_of_hours_that_change(bench: Bench) -> None:
    bench.late(ended(24), LATE_REST_S + 5)

    bench.chores.aggregates_again(bench.stop)

    assert (bench.raw.forgot, bench.long.forgot) == (1, 1)


def test_late_samples_that_are_not_stored_yet_are_waited_for(bench: Bench) -> None:
    bench.late(ended(3), LATE_REST_S + 5)
    bench.storing.put(["late 1\n"], {})

    bench.chores.aggregates_again(bench.stop)
    assert bench.raw.buckets == set()

    bench.storing.flush()
    bench.chores.aggregates_again(bench.stop)
    assert bench.raw.buckets


def test_a_collector_that_was_away_makes_the_buckets_it_missed(bench: Bench) -> None:
    bench.redis.hset(POSITION_KEY, AGGREGATED_FIELD, str(ended(4)))

    bench.chores.aggregates_due(bench.stop)

    assert {ended(3), ended(2)} <= bench.raw.buckets
    assert float(bench.redis.hget(POSITION_KEY, AGGREGATED_FIELD) or 0) >= ended(2)


def test_what_was_lost_on_the_way_is_a_metric_of_its_own(bench: Bench) -> None:
    bench.reading.lost, bench.storing.dropped = 6, 7

    bench.chores.own_figures(bench.stop)

    assert "stowage_collector_messages_lost_total{} 6.0 " in bench.raw.written
    assert "stowage_collector_samples_dropped_total{} 7.0 " in bench.raw.written
