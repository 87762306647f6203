"""`manage.py collect`: the collector process."""

from __future__ import annotations

import signal
import threading
from typing import Any

import redis
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.management.base import BaseCommand

from datacenter.metrics.collector import Collector, collect
from datacenter.metrics.store import MetricsStore
from hosts.publish import GROUP


def ring(host_uuid: str, values: dict[str, dict[str, Any]]) -> None:
    """Sends one round of a host's newest values to open pages; a layer that is away costs only this round."""
    layer = get_channel_layer()
    async_to_sync(layer.group_send)(GROUP, {"type": "live.sample", "host": host_uuid, "values": values})


class Command(BaseCommand):
    help = "Reads what the host planes report and brings it to the store, the pages and the database."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10, socket_connect_timeout=5)
        collect(client, Collector(MetricsStore(settings.METRICS_URL), ring=ring), stop.is_set)
