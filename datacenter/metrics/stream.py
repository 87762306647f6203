"""Reading the host planes' streams for as long as the collector runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from django.db import InterfaceError, OperationalError, close_old_connections

from datacenter.metrics.collector import OBSERVED, POWER, SAMPLES, Collector
from datacenter.metrics.storing import Storing

log = logging.getLogger(__name__)

POSITION_KEY = "stowage.collector"  # hash: stream -> id of the last message whose samples are stored
HANDLED = f"{SAMPLES}.handled"  # in the same hash: how many messages of samples there were up to there
LATE_KEY = "stowage.late_buckets"  # sorted set: bucket's end -> when the last late sample of it was read
MESSAGES_AT_ONCE = 500
SILENCE_EVERY_S = 1.0
TRIM_EVERY_S = 5.0
PAUSE_S = 1.0
STREAMS = (SAMPLES, OBSERVED, POWER)


@dataclass
class Reading:
    """Where in the streams the collector is, and what it counts there."""

    position: dict[str, str] = field(default_factory=dict)  # stream -> id; empty: to be read from Redis
    messages: int = 0  # of samples, since the stream began
    lost: int = 0  # of samples: gone from the stream before they were read
    handled: int = 0  # of samples, by this process
    noted: dict[str, str] = field(default_factory=dict)  # the position as Redis has it
    trimmed_at: float = float("-inf")


def collect(
    client: redis.Redis,
    collector: Collector,
    storing: Storing,
    should_stop: Callable[[], bool],
    reading: Reading | None = None,
) -> None:
    """Reads the streams until told to stop. Blocks; survives Redis, store and database being away.

    Goes on behind the last message handled; without such a position, or when Redis was wiped, from the oldest.
    """
    reading = reading or Reading()
    silence_at = float("-inf")
    while not should_stop():
        try:
            if not reading.position:
                _begin(client, reading)
            _round(client, collector, storing, reading)
            if time.monotonic() - silence_at >= SILENCE_EVERY_S:
                silence_at = time.monotonic()
                collector.look_for_silence()
                close_old_connections()
        except (redis.RedisError, OSError) as error:
            log.warning("Collecting pauses, the message queue does not answer: %s", error)
            reading.position = {}  # it may have lost its data: its ids then begin anew
            time.sleep(PAUSE_S)
        except (OperationalError, InterfaceError) as error:
            log.warning("Collecting pauses, the database does not answer: %s", error)
            close_old_connections()
            time.sleep(PAUSE_S)


def _begin(client: redis.Redis, reading: Reading) -> None:
    reading.position = position_read(client)
    kept: Any = client.hget(POSITION_KEY, HANDLED)
    added, length, _ = _counted(client)
    reading.messages = int(kept) if kept is not None and int(kept) <= added else added - length
    _count_lost(client, reading)


def _round(client: redis.Redis, collector: Collector, storing: Storing, reading: Reading) -> None:
    answer: Any = client.xread(dict(reading.position.items()), count=MESSAGES_AT_ONCE, block=1000) or []
    messages = [(stream.decode(), fields) for stream, entries in answer for _, fields in entries]
    if messages:
        collector.handle_all(messages)
        collector.flush()
        reading.position |= {stream.decode(): entries[-1][0].decode() for stream, entries in answer if entries}
        count = sum(stream == SAMPLES for stream, _ in messages)
        reading.messages += count
        reading.handled += count
        storing.put(collector.lines_take(), reading.position | {HANDLED: str(reading.messages)})
    late, collector.late_buckets = collector.late_buckets, set()
    if late:
        client.zadd(LATE_KEY, dict.fromkeys(map(str, late), time.time()))
    _keep(client, storing, reading)


def _keep(client: redis.Redis, storing: Storing, reading: Reading) -> None:
    """Notes how far samples are stored, and lets the streams forget what is behind."""
    position = dict(storing.position)
    if position and position != reading.noted:
        client.hset(POSITION_KEY, mapping=position)
        reading.noted = position
    if time.monotonic() - reading.trimmed_at < TRIM_EVERY_S:
        return
    reading.trimmed_at = time.monotonic()
    _count_lost(client, reading)
    for stream in STREAMS:
        if position.get(stream, "0-0") != "0-0":
            client.xtrim(stream, minid=position[stream], approximate=True)


def _counted(client: redis.Redis) -> tuple[int, int, str]:
    """How many samples were ever added to the stream, how many are in it, and the id of the first of those."""
    try:
        told: Any = client.xinfo_stream(SAMPLES)
    except redis.ResponseError:  # there is no stream yet
        return 0, 0, ""
    first = told.get("first-entry")
    length = int(told["length"])
    return int(told.get("entries-added", length)), length, first[0].decode() if first else ""


def _count_lost(client: redis.Redis, reading: Reading) -> None:
    """Counts messages that the stream dropped, being full, before they were read here."""
    added, length, first = _counted(client)
    if first and _ordered(first) <= _ordered(reading.position[SAMPLES]):
        return  # what was handled last is still there, so nothing behind it is missing
    lost = added - length - reading.messages
    if lost > 0:
        reading.lost += lost
        reading.messages += lost
        log.warning("%d messages with samples were dropped before they could be read.", lost)


def position_read(client: redis.Redis) -> dict[str, str]:
    """Where to go on in each stream; from its beginning where the kept id lies beyond the stream's last one."""
    kept: Any = client.hgetall(POSITION_KEY)
    position = {}
    for stream in STREAMS:
        last: Any = client.xrevrange(stream, count=1)
        last_id = last[0][0].decode() if last else "0-0"
        here = kept.get(stream.encode(), b"0-0").decode()
        position[stream] = here if _ordered(here) <= _ordered(last_id) else "0-0"
    return position


def _ordered(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
