"""`manage.py collect`: the collector process."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from typing import Any

import redis
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.management.base import BaseCommand

from datacenter.metrics.aggregates import BUCKET_S, aggregate, buckets_due
from datacenter.metrics.collector import Collector
from datacenter.metrics.live import Values, connect, latest_prune
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.stream import POSITION_KEY, collect
from hosts.errors import DriverError
from hosts.publish import GROUP

log = logging.getLogger(__name__)

RING_TIMEOUT_S = 1.0
REDIS_TIMEOUT_S = 10.0
AGGREGATED_FIELD = "aggregated_until"


class PageBell:
    """Sends a host's newest values to open pages. One event loop for all: the layer's connections belong to it."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def ring(self, host_uuid: str, values: Values) -> None:
        """One round of values; a layer that is away or slow costs only this round."""
        message = {"type": "live.sample", "host": host_uuid, "values": values}
        try:
            self._runner.run(asyncio.wait_for(get_channel_layer().group_send(GROUP, message), RING_TIMEOUT_S))
        except (redis.RedisError, OSError, TimeoutError) as error:
            log.warning("Open pages were not told of new values: %r", error)

    def close(self) -> None:
        self._runner.close()


class Command(BaseCommand):
    help = "Reads what the host planes report and brings it to the store, the pages and the database."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        raw, bell = MetricsStore(settings.METRICS_URL), PageBell()
        chores = threading.Thread(target=_chores, args=(stop,), name="chores", daemon=True)
        chores.start()
        collect(connect(settings.REDIS_URL, REDIS_TIMEOUT_S), Collector(raw, ring=bell.ring), stop.is_set)
        chores.join(timeout=5)
        bell.close()


def _chores(stop: threading.Event) -> None:
    """What is due every few minutes: aggregates for the long store, and forgetting stale newest values."""
    client = connect(settings.REDIS_URL, REDIS_TIMEOUT_S)
    raw, long = MetricsStore(settings.METRICS_URL, 30.0), MetricsStore(settings.METRICS_LONG_URL, 30.0)
    while not stop.wait(10.0):
        try:
            kept: Any = client.hget(POSITION_KEY, AGGREGATED_FIELD)
            for end in buckets_due(float(kept) if kept else time.time() - 2 * BUCKET_S, time.time()):
                aggregate(raw, long, end)
                client.hset(POSITION_KEY, AGGREGATED_FIELD, str(end))
                latest_prune(client, time.time())
                if stop.is_set():
                    return
        except DriverError as error:
            log.warning("Aggregates wait: %s", error.message)
        except (redis.RedisError, OSError) as error:
            log.warning("Aggregates wait: %s", error)
