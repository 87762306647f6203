"""One subscription for all who watch an object, against a real Redis that is stopped and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from hosts import live_feed as module
from hosts.live_feed import CHANNEL, LiveFeed
from tests.hosts.plane.redis_peer import RedisPeer


class Page:
    """A socket that keeps what it was handed."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def sample(self, source: str, text: str) -> None:
        self.heard.append((source, text))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[RedisPeer]:
    peer = RedisPeer(tmp_path)
    peer.start()
    yield peer
    peer.kill()


@pytest.fixture
async def feed(peer: RedisPeer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LiveFeed]:
    monkeypatch.setattr(module, "PAUSE_S", 0.05)
    feed = LiveFeed(peer.url)
    running = asyncio.create_task(feed.run())
    yield feed
    running.cancel()


async def until(is_so: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not is_so():
            await asyncio.sleep(0.01)


def subscribers(peer: RedisPeer, source: str) -> int:
    ((_, count),) = peer.client.pubsub_numsub(CHANNEL + source)
    return count


async def test_many_pages_that_watch_one_object_share_a_subscription(peer: RedisPeer, feed: LiveFeed) -> None:
    pages = [Page() for _ in range(5)]
    for page in pages:
        feed.watch("host:a", page)
    feed.watch("host:b", pages[0])
    await until(lambda: subscribers(peer, "host:a") == subscribers(peer, "host:b") == 1)

    peer.client.publish(CHANNEL + "host:a", '{"at":1}')
    await until(lambda: all(page.heard for page in pages))

    assert [page.heard for page in pages] == [[("host:a", '{"at":1}')]] * 5


async def test_the_subscription_ends_with_the_last_page(peer: RedisPeer, feed: LiveFeed) -> None:
    first, last = Page(), Page()
    feed.watch("host:a", first)
    feed.watch("host:a", last)
    await until(lambda: subscribers(peer, "host:a") == 1)

    feed.unwatch("host:a", first)
    feed.watch("host:b", first)
    await until(lambda: subscribers(peer, "host:b") == 1)
    assert subscribers(peer, "host:a") == 1

    feed.unwatch("host:a", last)
    await until(lambda: subscribers(peer, "host:a") == 0)


async def test_pages_hear_again_after_redis_was_away(peer: RedisPeer, feed: LiveFeed) -> None:
    page = Page()
    feed.watch("host:a", page)
    await until(lambda: subscribers(peer, "host:a") == 1)

    peer.kill()
    await until(lambda: not feed.subscribed)
    feed.watch("host:b", page)
    peer.start()
    await until(lambda: subscribers(peer, "host:a") == subscribers(peer, "host:b") == 1)
    peer.client.publish(CHANNEL + "host:a", "1")
    peer.client.publish(CHANNEL + "host:b", "2")

    await until(lambda: len(page.heard) == 2)
    assert page.heard == [("host:a", "1"), ("host:b", "2")]


async def test_a_thousand_objects_are_subscribed_to(peer: RedisPeer, feed: LiveFeed) -> None:
    page = Page()
    for number in range(1200):
        feed.watch(f"host:{number}", page)

    await until(lambda: len(peer.client.pubsub_channels(CHANNEL + "host:*")) == 1200)
