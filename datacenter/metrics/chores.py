"""What the collector does beside collecting: aggregates for the long store, its own figures, and forgetting.

It runs in a thread of its own; nothing here makes a sample wait.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import redis

from datacenter.metrics.aggregates import BUCKET_S, CACHE_TRUSTS_S, aggregate, buckets_due
from datacenter.metrics.collector import Collector
from datacenter.metrics.live import latest_prune
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.metrics.storing import Storing
from datacenter.metrics.stream import LATE_KEY, POSITION_KEY, Reading
from datacenter.metrics.table import COLLECTOR
from hosts.errors import DriverError

log = logging.getLogger(__name__)

EVERY_S = 10.0
AGGREGATED_FIELD = "aggregated_until"
# A bucket is made again when its late samples have stopped coming for as long: one outage, one repair.
LATE_REST_S = 30.0


class Chores:
    """The chores of one collector. Both stores are asked and written to with patience."""

    def __init__(
        self,
        client: redis.Redis,
        raw: MetricsStore,
        long: MetricsStore,
        collector: Collector,
        storing: Storing,
        reading: Reading,
    ) -> None:
        self._redis = client
        self._raw, self._long = raw, long
        self._collector, self._storing, self._reading = collector, storing, reading

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_S):
            for chore in (self.own_figures, self.aggregates_due, self.aggregates_again):
                try:
                    chore(stop)
                except DriverError as error:
                    log.warning("Aggregates wait: %s", error.message)
                except (redis.RedisError, OSError) as error:
                    log.warning("Aggregates wait: %s", error)

    def own_figures(self, stop: threading.Event) -> None:
        """How much was handled, and what was lost or dropped: as series like any other."""
        now = time.time()
        values = {
            "messages_total": self._reading.handled,
            "messages_lost_total": self._reading.lost,
            "samples_stored_total": self._storing.stored,
            "samples_dropped_total": self._storing.dropped,
            "lag_seconds": round(self._collector.lag_s, 3),
        }
        self._raw.write([Sample(metric.name, {}, float(values[metric.key]), now) for metric in COLLECTOR])

    def aggregates_due(self, stop: threading.Event) -> None:
        """The buckets that have ended since the last time."""
        kept: Any = self._redis.hget(POSITION_KEY, AGGREGATED_FIELD)
        for end in buckets_due(float(kept) if kept else time.time() - 2 * BUCKET_S, time.time()):
            aggregate(self._raw, self._long, end, time.time())
            self._redis.hset(POSITION_KEY, AGGREGATED_FIELD, str(end))
            latest_prune(self._redis, time.time())
            if stop.is_set():
                return

    def aggregates_again(self, stop: threading.Event) -> None:
        """The buckets into which samples fell after they had been made."""
        late: Any = self._redis.zrangebyscore(LATE_KEY, "-inf", time.time() - LATE_REST_S, withscores=True)
        if not late or self._storing.unsent:
            return
        marked = {float(member): score for member, score in late}
        is_cached = min(marked) < time.time() - CACHE_TRUSTS_S
        if is_cached:
            self._raw.rollups_forget()
        for end in sorted(marked):
            aggregate(self._raw, self._long, end, time.time())
            if self._redis.zscore(LATE_KEY, str(end)) == marked[end]:  # else more has come meanwhile
                self._redis.zrem(LATE_KEY, str(end))
            if stop.is_set():
                break
        if is_cached:
            self._long.rollups_forget()
        log.info("%d buckets of five minutes were made again, for late samples.", len(marked))
