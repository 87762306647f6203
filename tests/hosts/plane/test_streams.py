from __future__ import annotations

import json

from hosts.plane.streams import OBSERVED, SAMPLES, Feed
from hosts.signing import is_signed, signing_key
from tests.hosts.plane.redis_peer import RedisPeer

KEY = signing_key("token")


def entries(peer: RedisPeer, stream: str) -> list[dict[str, object]]:
    """What lies in the stream; each entry is signed."""
    found = [fields for _, fields in peer.client.xrange(stream)]
    assert all(is_signed(KEY, fields[b"data"], fields[b"signature"].decode()) for fields in found)
    return [json.loads(fields[b"data"]) for fields in found]


def test_samples_wait_while_redis_is_away_and_come_later_in_order(redis_peer: RedisPeer) -> None:
    feed = Feed(redis_peer.url, lambda: KEY)
    redis_peer.kill()
    for at in (1.0, 2.0, 3.0):
        feed.sample_put({"at": at})
    assert not feed.flush()

    redis_peer.start()
    assert feed.flush()

    assert entries(redis_peer, SAMPLES) == [{"at": 1.0}, {"at": 2.0}, {"at": 3.0}]
    assert feed.waiting() == 0


def test_of_the_observations_only_the_newest_waits(redis_peer: RedisPeer) -> None:
    feed = Feed(redis_peer.url, lambda: KEY)
    for sequence in (1, 2, 3):
        feed.observation_put({"sequence": sequence})

    assert feed.flush()

    assert entries(redis_peer, OBSERVED) == [{"sequence": 3}]


def test_of_too_many_samples_the_oldest_go_and_are_counted(redis_peer: RedisPeer) -> None:
    feed = Feed(redis_peer.url, lambda: KEY, waiting_bytes=10 * len('{"at":10}'))
    redis_peer.kill()
    for at in range(10, 40):
        feed.sample_put({"at": at})
        feed.flush()
    assert (feed.waiting(), feed.dropped) == (10, 20)

    redis_peer.start()
    assert feed.flush()

    assert entries(redis_peer, SAMPLES) == [{"at": at} for at in range(30, 40)]
    assert (feed.waiting(), feed.dropped) == (0, 20)
