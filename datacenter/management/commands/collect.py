"""`manage.py collect`: the collector process."""

from __future__ import annotations

import logging
import signal
import threading
import time
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand

from datacenter.metrics.chores import Chores
from datacenter.metrics.collector import Collector
from datacenter.metrics.live import connect, latest_tell, watched_note, watched_read
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.storing import Storing
from datacenter.metrics.stream import Reading, collect

log = logging.getLogger(__name__)

REDIS_TIMEOUT_S = 10.0
STORE_TIMEOUT_S = 30.0
WATCHED_EVERY_S = 1.0


class Watchers:
    """Who watches what, asked for each second in a thread of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.watched: set[str] | None = None  # None: not known, so everything is told

    def tell(self, client: redis.Redis, payloads: dict[str, bytes]) -> None:
        latest_tell(payloads, self.watched, client)

    def run(self, collector: Collector, stop: threading.Event) -> None:
        while not stop.wait(WATCHED_EVERY_S):
            try:
                self.watched = watched = watched_read(self._client)
                watched_note(collector.watched_by_host(watched), self._client)
            except (redis.RedisError, OSError) as error:
                log.debug("Who watches is not known: %s", error)
                self.watched = None


class Command(BaseCommand):
    help = "Reads what the host planes report and brings it to the store, the pages and the database."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        client = connect(settings.REDIS_URL, REDIS_TIMEOUT_S)
        watchers = Watchers(connect(settings.REDIS_URL, REDIS_TIMEOUT_S))
        collector = Collector(partial(watchers.tell, client))
        storing = Storing(MetricsStore(settings.METRICS_URL, STORE_TIMEOUT_S).write_lines)
        reading = Reading()
        raw, long = (MetricsStore(url, STORE_TIMEOUT_S) for url in (settings.METRICS_URL, settings.METRICS_LONG_URL))
        chores = Chores(connect(settings.REDIS_URL, REDIS_TIMEOUT_S), raw, long, collector, storing, reading)
        threads = [
            threading.Thread(target=storing.run, args=(stop,), name="storing", daemon=True),
            threading.Thread(target=watchers.run, args=(collector, stop), name="watchers", daemon=True),
            threading.Thread(target=chores.run, args=(stop,), name="chores", daemon=True),
        ]
        for thread in threads:
            thread.start()
        collect(client, collector, storing, stop.is_set, reading)
        until = time.monotonic() + 5
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
