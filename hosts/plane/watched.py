"""What of this host somebody looks at just now, as the control plane notes it: that is sampled each second.

The note is a key of the broker that only this host's plane may read, and runs out within seconds by itself.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

log = logging.getLogger(__name__)

KEY = "stowage.watched."  # and the host's name
TTL_S = 4  # of the note; it is written anew each second while somebody looks
EVERY_S = 1.0
TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Watched:
    """Whether somebody looks at the host itself, and at which of its workloads (uuids)."""

    host: bool = False
    workloads: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.host or bool(self.workloads)


NOTHING = Watched()


def note_of(host: bool, workloads: set[str]) -> str:
    """The note that the control plane leaves."""
    return json.dumps({"host": host, "workloads": sorted(workloads)})


def note_read(raw: bytes | None) -> Watched:
    """What the note says; nothing when there is none, or one that makes no sense."""
    try:
        note = json.loads(raw or b"{}")
        return Watched(note.get("host") is True, frozenset(map(str, note.get("workloads", ()))))
    except (ValueError, TypeError, AttributeError):
        return NOTHING


class WatchedHere:
    """Reads the note each second in a thread of its own: a broker that is away or slow costs the samples nothing."""

    def __init__(self, url: str, host: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = KEY + host
        self._clock = clock
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._watched, self._read_at = NOTHING, float("-inf")

    def now(self) -> Watched:
        """What is watched, without waiting; nothing when the note could not be read for some seconds."""
        return self._watched if self._clock() - self._read_at <= TTL_S else NOTHING

    def read(self) -> None:
        try:
            raw = self._redis.get(self._key)
        except (redis.RedisError, OSError) as error:
            log.debug("Who watches is not known: %s", error)
            return
        self._watched, self._read_at = note_read(raw if isinstance(raw, bytes) else None), self._clock()

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_S):
            self.read()
        self._redis.close()
