"""Samples on their way to open pages: one subscription for each watched object and web process, whoever watches it.

The collector serialises an object's newest values once; the same text goes to every socket that watches the object.
Channel groups are not made for this: they manage one to two thousand deliveries a second (pitfalls M33).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

log = logging.getLogger(__name__)

CHANNEL = "stowage.live."  # and the object's key: "host:<uuid>", "workload:<uuid>"
_BEACON = CHANNEL + "-"  # nobody speaks there: a connection must be subscribed to something
PAUSE_S = 1.0
PING_S = 10.0
SUBSCRIBE_AT_ONCE = 500
_AWAY = (redis.RedisError, OSError)


class Sink(Protocol):
    """Who takes samples: at once and without waiting, keeping what it has no time for itself."""

    def sample(self, source: str, text: str) -> None: ...


class LiveFeed:
    """The samples that this process's sockets watch. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._sinks: dict[str, set[Sink]] = {}
        self._changed = asyncio.Event()
        self._heard_at = 0.0
        self._was_away = False
        self.subscribed: set[str] = set()

    def watch(self, source: str, sink: Sink) -> None:
        self._sinks.setdefault(source, set()).add(sink)
        self._changed.set()

    def unwatch(self, source: str, sink: Sink) -> None:
        sinks = self._sinks.get(source, set())
        sinks.discard(sink)
        if not sinks:
            self._sinks.pop(source, None)
            self._changed.set()

    def is_watched(self, source: str) -> bool:
        return source in self._sinks

    def hand_out(self, source: str, text: str) -> None:
        """Gives an object's newest values, as JSON, to all who watch it."""
        for sink in self._sinks.get(source, ()):
            sink.sample(source, text)

    async def run(self) -> None:
        """Keeps the subscriptions for ever; when Redis was away, all are made anew."""
        while True:
            client = redis.asyncio.Redis.from_url(
                self._url, socket_connect_timeout=3.0, socket_timeout=None, retry=Retry(NoBackoff(), 0)
            )
            try:
                async with client.pubsub() as subscriptions:
                    await self._serve(subscriptions)
            except _AWAY as error:
                if not self._was_away:
                    log.warning("Samples for open pages stop, the message queue does not answer: %r", error)
                self._was_away = True
            finally:
                self.subscribed.clear()
                await client.aclose()
            await asyncio.sleep(PAUSE_S)

    async def _serve(self, subscriptions: Any) -> None:
        await subscriptions.subscribe(_BEACON)
        loop = asyncio.get_running_loop()
        self._heard_at = loop.time()
        reader = asyncio.create_task(self._read(subscriptions))
        try:
            while not reader.done():
                self._changed.clear()
                await self._subscribe(subscriptions)
                if self._was_away:
                    log.info("Samples for open pages go on.")
                    self._was_away = False
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait({reader, changed}, timeout=PING_S, return_when=asyncio.FIRST_COMPLETED)
                if not changed.cancel():
                    continue
                if loop.time() - self._heard_at > 3 * PING_S:
                    raise TimeoutError("nothing heard, not even an answer to a ping")
                if not reader.done():
                    await subscriptions.ping()
            reader.result()
        finally:
            reader.cancel()

    async def _subscribe(self, subscriptions: Any) -> None:
        """Makes the subscriptions those that are wanted now."""
        wanted = set(self._sinks)
        for change, sources in (
            (subscriptions.subscribe, wanted - self.subscribed),
            (subscriptions.unsubscribe, self.subscribed - wanted),
        ):
            channels = [CHANNEL + source for source in sources]
            for start in range(0, len(channels), SUBSCRIBE_AT_ONCE):
                await change(*channels[start : start + SUBSCRIBE_AT_ONCE])
        self.subscribed = wanted

    async def _read(self, subscriptions: Any) -> None:
        clock, skipped = asyncio.get_running_loop().time, len(CHANNEL)
        while True:
            answer = await subscriptions.parse_response(block=True)
            self._heard_at = clock()
            if answer and answer[0] == b"message":
                self.hand_out(answer[1].decode()[skipped:], answer[2].decode())


_feed: tuple[asyncio.AbstractEventLoop, LiveFeed, asyncio.Task[None] | None] | None = None


def feed_here() -> LiveFeed:
    """The feed of the running event loop, started when first asked for. Unit tests hand out samples themselves."""
    global _feed
    loop = asyncio.get_running_loop()
    if _feed is None or _feed[0] is not loop:
        feed = LiveFeed(settings.REDIS_URL)
        _feed = (loop, feed, None if settings.TESTING else loop.create_task(feed.run(), name="live feed"))
    return _feed[1]
