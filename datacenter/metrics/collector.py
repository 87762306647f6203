"""From the host planes' streams to the store, the pages and the database. One process, `manage.py collect`.

Samples touch no SQL: they go to the metrics store in batches and, as newest values, to Redis and to whoever watches.
Observations are applied to the database only where they say something new. Everything read here comes from hosts and
is checked before use; a host may only speak for itself and for the workloads that it owns.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from datacenter.metrics import series
from datacenter.metrics.aggregates import bucket_of, is_bucket_made
from datacenter.metrics.series import Place
from datacenter.metrics.table import HOST_BY_KEY
from hosts.inventory import SILENT_AFTER, host_lost, host_observe, is_lost, pools_observe, power_observe, reach_of
from hosts.models import Host, Plane
from hosts.pool_inventory import pool_files_observe
from hosts.signing import is_signed
from workloads.image_inventory import host_images_observe
from workloads.inventory import host_silent, workloads_observe
from workloads.models import Workload

log = logging.getLogger(__name__)

SAMPLES, OBSERVED, POWER = "stowage.samples", "stowage.observed", "stowage.power"
NOT_IN_EVERY_ONE = ("images", "files")  # of an observation: carried over from the one before
MESSAGE_BYTES_MOST = 4 * 1024 * 1024
REAPPLY_AFTER_S = 60.0  # an unchanged observation is applied again this often: memory may have gone wrong
KNOWN_FRESH_S = 5.0
KEYS_FRESH_S, KEYS_AGAIN_S = 2.0, 0.2
BMC_FRESH_S = 90.0  # what a BMC measured is shown beside the host's own figures for as long
SAMPLE_OLDEST_S = 30 * 86400.0  # older ones lie outside the store's retention

Values = dict[str, dict[str, Any]]  # object key -> its values, `at` among them
Message = tuple[str, dict[bytes, bytes]]  # stream and fields


class Nonsense(ValueError):
    """A message that cannot be meant."""


class PlaneKeys:
    """The signing keys of all planes, read anew every few seconds, and at once for a plane that is not known yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._keys: dict[tuple[str, str], str] = {}
        self._read_at = float("-inf")

    def key_of(self, kind: str, name: str) -> str | None:
        age_s = self._clock() - self._read_at
        if age_s > KEYS_FRESH_S or ((kind, name) not in self._keys and age_s > KEYS_AGAIN_S):
            rows = Plane.objects.values_list("kind", "name", "token_sha256")
            self._keys = {(kind, name): key for kind, name, key in rows}
            self._read_at = self._clock()
        return self._keys.get((kind, name))


@dataclass
class Collector:
    """Turns messages into rows, series and doorbells. Holds no connection that it can't make anew."""

    tell: Callable[[dict[str, bytes]], None]
    clock: Callable[[], float] = time.time
    key_of: Callable[[str, str], str | None] = field(default_factory=lambda: PlaneKeys().key_of)
    lines: list[str] = field(default_factory=list)  # for the store, until somebody takes them
    late_buckets: set[float] = field(default_factory=set)  # whose aggregates were made before these samples came
    lag_s: float = 0.0  # age of the newest sample, when it was handled
    _newest: Values = field(default_factory=dict)  # not told yet
    _of_bmc: Values = field(default_factory=dict)  # by host key
    _hosts: dict[str, Host] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)  # workload uuid -> host uuid
    _known_at: float = float("-inf")
    _applied: dict[str, tuple[str, float]] = field(default_factory=dict)  # host name -> digest, when
    _silent: dict[str, str] = field(default_factory=dict)  # host name -> its power when it was marked
    _power_read: dict[str, Any] = field(default_factory=dict)  # host name -> its BMC's last word
    _began_at: float | None = None

    def handle_all(self, messages: Iterable[Message]) -> None:
        """Several messages, oldest first. Of a host's observations only the last is applied: each one is complete."""
        last: dict[str, dict[str, Any]] = {}
        for stream, fields in messages:
            message = self._guarded(stream, partial(read, stream, fields, self.key_of))
            if message is None:
                continue
            if stream == SAMPLES:
                self._guarded(stream, partial(self._sampled, message))
            elif stream == POWER:
                self._guarded(stream, partial(self._power_told, message))
            elif stream == OBSERVED:
                before = last.get(message["host"], {})
                carried = {name: before[name] for name in NOT_IN_EVERY_ONE if name in before}
                last[message["host"]] = carried | message
        for message in last.values():
            self._guarded(OBSERVED, partial(self._observed, message))

    def _guarded(self, stream: str, act: Callable[[], Any]) -> Any:
        """What `act` gives; None where the message makes no sense, to us or to the database.

        A database that is away passes: the caller waits and comes again.
        """
        try:
            return act()
        except (OperationalError, InterfaceError):
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, DatabaseError) as error:
            log.warning("A message on %s makes no sense and was dropped: %.300r", stream, error)
            return None

    def _host(self, name: str) -> Host | None:
        """The host of that name, from memory for a few seconds; None for one that never began to enrol."""
        self._known_refresh()
        host = self._hosts.get(name)
        return host if host is not None and host.lifecycle != Host.Lifecycle.FAILED else None

    def _known_refresh(self) -> None:
        """Reads hosts and owners anew when they were read some seconds ago."""
        if self.clock() - self._known_at <= KNOWN_FRESH_S:
            return
        fresh = {host.name: host for host in Host.objects.select_related("rack__site")}
        for name, host in fresh.items():
            known = self._hosts.get(name)
            # the row lags behind what was just seen: it is written every few seconds only
            if known is not None and known.pk == host.pk and known.boot_id == host.boot_id:
                host.observed_sequence = max(host.observed_sequence, known.observed_sequence)
        owners = Workload.objects.exclude(host=None).values_list("pk", "host_id")
        self._hosts, self._owners = fresh, {str(pk): str(host_id) for pk, host_id in owners}
        self._known_at = self.clock()

    def _sampled(self, message: dict[str, Any]) -> None:
        host = self._host(message["host"])
        if host is None:
            return
        at, place = self._time(message), _place(host)
        readings = series.sample_read(message, at, place, self._owners)
        self.lines += readings.lines
        self._note_time(at)
        key = f"host:{place.host_uuid}"
        of_bmc = self._of_bmc.get(key)
        if of_bmc is not None and at - of_bmc["at"] <= BMC_FRESH_S:
            readings.values[key] = {**of_bmc, **readings.values[key]}
        for key, values in readings.values.items():
            known = self._newest.get(key)
            if known is None or known["at"] <= at:  # late ones belong to the store alone
                self._newest[key] = values

    def _note_time(self, at: float) -> None:
        now = self.clock()
        self.lag_s = now - at
        if is_bucket_made(bucket_of(at), now):
            self.late_buckets.add(bucket_of(at))

    def _observed(self, message: dict[str, Any]) -> None:
        host = self._host(message["host"])
        now = datetime.fromtimestamp(self.clock(), UTC)
        if host is None or not host_observe(host, message, now):
            return
        if host.lifecycle != Host.Lifecycle.ENROLLED:
            return  # it may be a machine that is known by another name: all it runs would seem to run twice
        if "images" in message:
            host_images_observe(host, message.pop("images"))
        if "files" in message:
            pool_files_observe(host, message.pop("files"))
        digest = observation_digest(message)
        known, applied_at = self._applied.get(host.name, ("", 0.0))
        if digest == known and self.clock() - applied_at < REAPPLY_AFTER_S and host.name not in self._silent:
            return
        outcome = workloads_observe(host, message, reach_of(message), now)
        pools_observe(host, message)
        self._silent.pop(host.name, None)
        self._applied.pop(host.name, None)
        if outcome.is_settled:
            self._applied[host.name] = (digest, self.clock())

    def _power_told(self, message: dict[str, Any]) -> None:
        """A site's plane has read its machines' power; one reading may be of the moment between, two count."""
        at = datetime.fromtimestamp(self._time(message), UTC)
        before, now_read = self._power_read, {}
        for name, power in message["readings"].items():
            host = self._host(name)
            if host is None or host.rack.site.name != message["site"]:
                continue
            now_read[name] = power
            if before.get(name) == power:
                power_observe(host, power, at)
        self._power_read = before | now_read
        sensors = message.get("sensors")
        for name, measured in sensors.items() if isinstance(sensors, dict) else ():
            host = self._host(name)
            if host is not None and host.rack.site.name == message["site"] and isinstance(measured, dict):
                self._measured(host, measured, at.timestamp())

    def _measured(self, host: Host, measured: dict[str, Any], at: float) -> None:
        """Watts and degrees that a host's BMC gave; also of a machine that is off."""
        place, at_ms = _place(host), int(at * 1000)
        watts = {"power_watts": measured.get("power_watts")}
        values = series.host_values(self.lines, watts, at_ms, place)
        series.part_lines(
            self.lines, HOST_BY_KEY["temperature_celsius"], measured.get("temperature_celsius"), at_ms, place
        )
        self._note_time(at)
        key = f"host:{place.host_uuid}"
        if self._of_bmc.get(key, {"at": 0.0})["at"] <= at:
            self._of_bmc[key] = {"at": at, **values}

    def _time(self, message: dict[str, Any]) -> float:
        """The sample's own time, unless it is of the future (it would hide newer ones) or beyond belief."""
        at, now = series.number(message.get("at")), self.clock()
        return min(at, now) if at is not None and at > now - SAMPLE_OLDEST_S else now

    def flush(self) -> None:
        """Tells the newest values, each object's once: as the bytes that every page gets."""
        newest, self._newest = self._newest, {}
        if newest:
            self.tell({key: json.dumps(values, separators=(",", ":")).encode() for key, values in newest.items()})

    def lines_take(self) -> list[str]:
        """The lines for the store since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def watched_by_host(self, keys: Iterable[str]) -> dict[str, tuple[bool, set[str]]]:
        """Of these objects: by host name, whether the host itself is among them, and which of its workloads.

        From memory, without a query; may be called from another thread.
        """
        hosts = {str(host.pk): host.name for host in list(self._hosts.values())}
        found: dict[str, tuple[bool, set[str]]] = {}
        for key in keys:
            kind, _, uuid = key.partition(":")
            name = hosts.get(uuid if kind == "host" else self._owners.get(uuid, ""))
            if name is None:
                continue
            is_host, workloads = found.get(name, (False, set()))
            found[name] = (is_host or kind == "host", workloads if kind == "host" else workloads | {uuid})
        return found

    def look_for_silence(self) -> None:
        """Marks the workloads of hosts that have just stopped answering, or just went off; rings their pages.

        Nobody is called silent before this collector itself has listened for long enough.
        """
        now_s = self.clock()
        self._began_at = now_s if self._began_at is None else self._began_at
        if now_s - self._began_at < SILENT_AFTER.total_seconds():
            return
        self._known_refresh()
        for name, host in self._hosts.items():
            if self._silent.get(name) == host.power or not is_lost(host, datetime.fromtimestamp(now_s, UTC)):
                continue
            host_lost(host)
            self._silent[name] = host.power
            host_silent(host)


def _place(host: Host) -> Place:
    return Place(str(host.pk), host.name, host.rack.site.name)


def read(stream: str, fields: dict[bytes, bytes], key_of: Callable[[str, str], str | None]) -> dict[str, Any]:
    """The message as an object that names its host, or the site whose power it tells, and is signed by that plane."""
    raw = fields.get(b"data", b"")
    if len(raw) > MESSAGE_BYTES_MOST:
        raise Nonsense(f"{len(raw)} bytes are too many")
    message = json.loads(raw)
    kind = "site" if stream == POWER else "host"
    if not isinstance(message, dict) or not isinstance(message.get(kind), str):
        raise Nonsense("it does not say whose it is")
    key = key_of(kind, message[kind])
    if key is None or not is_signed(key, raw, fields.get(b"signature", b"").decode()):
        raise Nonsense(f"the plane of {kind} {message[kind]:.63} has not signed it")
    return message


def observation_digest(message: dict[str, Any]) -> str:
    """A hash over what an observation says, without what changes every time (time, sequence, counters, free space)."""
    pools = message.get("pools")
    says = {
        "hypervisor": message.get("hypervisor"),
        "engine": message.get("engine"),
        "workloads": message.get("workloads"),
        "pools": [row.get("pool_id") for row in pools if isinstance(row, dict)] if isinstance(pools, list) else None,
    }
    return hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()
