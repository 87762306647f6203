"""From the host planes' streams to the store, the pages and the database. One process, `manage.py collect`.

Samples touch no SQL: they go to the metrics store in batches and, as newest values, to Redis. Observations
are applied to the database only where they say something new. Everything read here comes from hosts and is
checked before use.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.db import OperationalError, close_old_connections

from datacenter.metrics import series
from datacenter.metrics.live import latest_write
from datacenter.metrics.store import MetricsStore, Sample
from hosts.errors import DriverError
from hosts.inventory import host_observe, pools_observe, reach_of
from hosts.models import Host
from hosts.publish import publish_change
from workloads.inventory import host_silent, workloads_observe

log = logging.getLogger(__name__)

SAMPLES, OBSERVED = "stowage.samples", "stowage.observed"
MESSAGE_BYTES_MOST = 4 * 1024 * 1024
SILENT_AFTER = timedelta(seconds=15)  # three observations missed
REAPPLY_AFTER_S = 60.0  # an unchanged observation is applied again this often: memory may have gone wrong
HOSTS_FRESH_S = 5.0
UNSENT_MOST = 200_000  # samples kept while the store is away; then the oldest go


@dataclass
class Collector:
    """Turns messages into rows, series and doorbells. Holds no connection that it can't make anew."""

    store: MetricsStore
    write_latest: Callable[[dict[str, dict[str, Any]]], None] = latest_write
    ring: Callable[[str, dict[str, Any]], None] = lambda host_uuid, values: None
    clock: Callable[[], float] = time.time
    unsent: list[Sample] = field(default_factory=list)
    dropped: int = 0
    _hosts: dict[str, Host] = field(default_factory=dict)
    _hosts_read_at: float = float("-inf")
    _applied: dict[str, tuple[str, float]] = field(default_factory=dict)  # host name -> digest, when
    _silent: set[str] = field(default_factory=set)

    def handle(self, stream: str, fields: dict[bytes, bytes]) -> None:
        """One message of either stream; nonsense is logged and dropped."""
        raw = fields.get(b"data", b"")
        if len(raw) > MESSAGE_BYTES_MOST:
            log.warning("A message of %d bytes on %s was dropped: too large.", len(raw), stream)
            return
        try:
            message = json.loads(raw)
            host = self._host(str(message["host"]))
            if host is None:
                return
            if stream == SAMPLES:
                self._samples(host, message)
            else:
                self._observed(host, message)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("A message on %s makes no sense and was dropped: %r", stream, error)

    def _host(self, name: str) -> Host | None:
        """The host of that name, from memory for a few seconds; None for one that was never enrolled."""
        now = self.clock()
        if now - self._hosts_read_at > HOSTS_FRESH_S:
            self._hosts_read()
        return self._hosts.get(name)

    def _hosts_read(self) -> None:
        fresh = {host.name: host for host in Host.objects.select_related("rack__site")}
        for name, host in fresh.items():
            known = self._hosts.get(name)
            # rows of the database lag behind what was just seen: last_seen_at is written now and then only
            if known is not None and known.pk == host.pk:
                host.observed_sequence = max(host.observed_sequence, known.observed_sequence)
        self._hosts, self._hosts_read_at = fresh, self.clock()

    def _samples(self, host: Host, message: dict[str, Any]) -> None:
        at = self._time(message)
        site = host.rack.site.name
        self.unsent += series.samples_of(message, at, str(host.pk), host.name, site)
        newest: dict[str, dict[str, Any]] = {f"host:{host.pk}": {"at": at, **series.host_values(message)}}
        for _, uuid, values in series.workload_values(message):
            newest[f"workload:{uuid}"] = {"at": at, **values}
        self.write_latest(newest)
        self.ring(str(host.pk), newest)

    def _observed(self, host: Host, message: dict[str, Any]) -> None:
        now = datetime.fromtimestamp(self.clock(), UTC)
        if not host_observe(host, message, now):
            return
        digest = observation_digest(message)
        known, applied_at = self._applied.get(host.name, ("", 0.0))
        if digest == known and self.clock() - applied_at < REAPPLY_AFTER_S and host.name not in self._silent:
            return
        workloads_observe(host, message, reach_of(message), now)
        pools_observe(host, message)
        if host.lifecycle == Host.Lifecycle.ENROLLED:
            self._applied[host.name] = (digest, self.clock())
        self._silent.discard(host.name)

    def _time(self, message: dict[str, Any]) -> float:
        """The sample's own time, unless its clock runs ahead of ours: a sample of the future hides newer ones."""
        at = series.number(message["at"])
        return min(at, self.clock()) if at else self.clock()

    def flush(self) -> None:
        """Sends what is unsent to the store; keeps it, bounded, while the store is away."""
        if len(self.unsent) > UNSENT_MOST:
            self.dropped += len(self.unsent) - UNSENT_MOST
            self.unsent = self.unsent[-UNSENT_MOST:]
            log.warning("The metrics store is away for long: %d samples dropped so far.", self.dropped)
        try:
            self.store.write(self.unsent)
        except DriverError as error:
            log.warning("%s %d samples wait.", error.message, len(self.unsent))
            return
        self.unsent = []

    def look_for_silence(self) -> None:
        """Marks the workloads of hosts that have just stopped answering; rings their pages."""
        now = datetime.fromtimestamp(self.clock(), UTC)
        self._hosts_read()
        for name, host in self._hosts.items():
            silent = host.last_seen_at is not None and now - host.last_seen_at > SILENT_AFTER
            if silent and name not in self._silent:
                self._silent.add(name)
                host_silent(host)
                publish_change("host", host.pk, "silent")


def observation_digest(message: dict[str, Any]) -> str:
    """A hash over what an observation says, without what changes every time (time, sequence, counters, free space)."""
    says = {
        "hypervisor": message.get("hypervisor"),
        "engine": message.get("engine"),
        "workloads": message.get("workloads"),
        "pools": [row.get("pool_id") for row in message.get("pools") or []],
    }
    return hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()


def collect(client: Any, collector: Collector, should_stop: Callable[[], bool]) -> None:
    """Reads both streams until told to stop. Blocks; survives Redis, store and database being away.

    Begins with the newest messages: older observations are superseded by them, and samples that waited in the
    stream while the collector was away are read from the kept position.
    """
    position = _position_read(client)
    silence_at = 0.0
    while not should_stop():
        try:
            answer = client.xread(position, count=500, block=1000) or []
            for stream, entries in answer:
                name = stream.decode()
                for entry_id, fields in entries:
                    collector.handle(name, fields)
                    position[name] = entry_id.decode()
            if answer:
                collector.flush()
                client.hset("stowage.collector", mapping=position)
            if collector.clock() - silence_at >= 1.0:
                silence_at = collector.clock()
                collector.look_for_silence()
                close_old_connections()
        except (redis.RedisError, OSError, OperationalError) as error:
            log.warning("Collecting pauses for a second: %s", error)
            time.sleep(1.0)


def _position_read(client: Any) -> dict[str, str]:
    try:
        kept = {key.decode(): value.decode() for key, value in client.hgetall("stowage.collector").items()}
    except (redis.RedisError, OSError):
        kept = {}
    return {SAMPLES: kept.get(SAMPLES, "0"), OBSERVED: kept.get(OBSERVED, "0")}
