"""Reading the host planes' streams for as long as the collector runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import redis
from django.db import InterfaceError, OperationalError, close_old_connections

from datacenter.metrics.collector import OBSERVED, POWER, SAMPLES, Collector

log = logging.getLogger(__name__)

POSITION_KEY = "stowage.collector"  # hash: stream -> id of the last message handled
MESSAGES_AT_ONCE = 500
SILENCE_EVERY_S = 1.0
PAUSE_S = 1.0


def collect(client: redis.Redis, collector: Collector, should_stop: Callable[[], bool]) -> None:
    """Reads the streams until told to stop. Blocks; survives Redis, store and database being away.

    Goes on behind the last message handled; without such a position, or when Redis was wiped, from the oldest.
    """
    position: dict[str, str] = {}
    silence_at = float("-inf")
    while not should_stop():
        try:
            position = position or position_read(client)
            _round(client, collector, position)
            if time.monotonic() - silence_at >= SILENCE_EVERY_S:
                silence_at = time.monotonic()
                collector.look_for_silence()
                close_old_connections()
        except (redis.RedisError, OSError) as error:
            log.warning("Collecting pauses, the message queue does not answer: %s", error)
            position = {}  # it may have lost its data: its ids then begin anew
            time.sleep(PAUSE_S)
        except (OperationalError, InterfaceError) as error:
            log.warning("Collecting pauses, the database does not answer: %s", error)
            close_old_connections()
            time.sleep(PAUSE_S)


def _round(client: redis.Redis, collector: Collector, position: dict[str, str]) -> None:
    answer: Any = client.xread(dict(position.items()), count=MESSAGES_AT_ONCE, block=1000) or []
    messages = [(stream.decode(), fields) for stream, entries in answer for _, fields in entries]
    if not messages:
        return
    collector.handle_all(messages)
    collector.flush()
    position |= {stream.decode(): entries[-1][0].decode() for stream, entries in answer if entries}
    client.hset(POSITION_KEY, mapping=dict(position.items()))


def position_read(client: redis.Redis) -> dict[str, str]:
    """Where to go on in each stream; from its beginning where the kept id lies beyond the stream's last one."""
    kept: Any = client.hgetall(POSITION_KEY)
    position = {}
    for stream in (SAMPLES, OBSERVED, POWER):
        last: Any = client.xrevrange(stream, count=1)
        last_id = last[0][0].decode() if last else "0-0"
        here = kept.get(stream.encode(), b"0-0").decode()
        position[stream] = here if _ordered(here) <= _ordered(last_id) else "0-0"
    return position


def _ordered(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
