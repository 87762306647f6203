"""Samples and observations on their way to Redis: kept while it is away, bounded, delivered later in order."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hosts.errors import Refused
from hosts.signing import signature_of

log = logging.getLogger(__name__)

SAMPLES = "stowage.samples"
OBSERVED = "stowage.observed"
POWER = "stowage.power"
SAMPLES_KEPT = 100_000
OBSERVED_KEPT = 5_000
WAITING_BYTES = 16 * 1024 * 1024  # of samples, hours of them; then the oldest go, and are counted
AT_ONCE = 20
TIMEOUT_S = 3.0
NOT_IN_EVERY_ONE = ("images", "files")  # of an observation: kept until one goes that has them


class Feed:
    """Takes samples and observations from any thread; `run` sends them, signed, from one of its own.

    Of the observations only the newest waits: each is the whole truth. Samples carry their own time, so all of
    them do, up to `waiting_bytes`. `dropped` counts those that had to go.
    """

    def __init__(
        self,
        url: str,
        key: Callable[[], str],
        observed_stream: str = OBSERVED,
        sample_stream: str = SAMPLES,
        *,
        waiting_bytes: int = WAITING_BYTES,
    ) -> None:
        self._key = key
        self._observed_stream = observed_stream
        self._sample_stream = sample_stream
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
        )
        self._lock = threading.Lock()
        self._samples: deque[bytes] = deque()
        self._waiting_bytes, self._waiting_bytes_most = 0, waiting_bytes
        self.dropped = 0
        self._observation: dict[str, Any] | None = None
        self._wake = threading.Event()
        self._was_down = False

    def sample_put(self, sample: dict[str, Any]) -> None:
        raw = json.dumps(sample, separators=(",", ":")).encode()
        with self._lock:
            self._samples.append(raw)
            self._waiting_bytes += len(raw)
            while self._waiting_bytes > self._waiting_bytes_most:
                self._waiting_bytes -= len(self._samples.popleft())
                self.dropped += 1
        self._wake.set()

    def observation_put(self, observation: dict[str, Any]) -> None:
        with self._lock:
            waiting = self._observation or {}
            # not every one has them
            carried = {name: waiting[name] for name in NOT_IN_EVERY_ONE if name in waiting}
            self._observation = carried | observation
        self._wake.set()

    def waiting(self) -> int:
        """How many samples and observations wait."""
        with self._lock:
            return len(self._samples) + (self._observation is not None)

    def run(self, stop: threading.Event) -> None:
        """Sends whatever comes until `stop`; after a failure it waits a second."""
        while not stop.is_set():
            self._wake.wait(0.5)
            if self._wake.is_set():
                self._wake.clear()
                if not self.flush():
                    self._wake.set()
                    stop.wait(1.0)
        self._redis.close()

    def flush(self) -> bool:
        """Whether everything that waited went; the observation first, it is what people look at."""
        try:
            self._flush_observation()
            while self._flush_samples():
                pass
        except (redis.RedisError, OSError, Refused) as error:
            if not self._was_down:
                log.warning("Samples cannot be sent and are kept: %s", error)
            self._was_down = True
            return False
        if self._was_down:
            log.info("Redis is back.")
        self._was_down = False
        return True

    def _flush_observation(self) -> None:
        with self._lock:
            observation = self._observation
        if observation is None:
            return
        raw = json.dumps(observation).encode()
        self._redis.xadd(self._observed_stream, self._fields(raw), maxlen=OBSERVED_KEPT, approximate=True)
        with self._lock:
            if self._observation is observation:
                self._observation = None

    def _flush_samples(self) -> bool:
        """Sends the oldest few; whether there may be more. A lost reply sends them twice, which does no harm."""
        with self._lock:
            batch = list(islice(self._samples, AT_ONCE))
        if not batch:
            return False
        pipe = self._redis.pipeline(transaction=False)
        for raw in batch:
            pipe.xadd(self._sample_stream, self._fields(raw), maxlen=SAMPLES_KEPT, approximate=True)
        pipe.execute()
        with self._lock:
            for raw in batch:
                if self._samples and self._samples[0] is raw:  # else it was dropped meanwhile
                    self._waiting_bytes -= len(self._samples.popleft())
        return True

    def _fields(self, raw: bytes) -> dict[Any, Any]:
        return {"data": raw, "signature": signature_of(self._key(), raw)}
