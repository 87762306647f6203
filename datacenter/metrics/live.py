"""The newest values of hosts and workloads, as the collector last saw them. decisions/0007."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from hosts.live_feed import CHANNEL
from hosts.plane.watched import KEY as WATCHED_KEY
from hosts.plane.watched import TTL_S, note_of

log = logging.getLogger(__name__)

Values = dict[str, dict[str, Any]]  # object key -> its values, `at` among them

KEY = "stowage.latest"
FRESH_S = 30.0  # older values are not shown: a number that stands still looks like a live one
READ_TIMEOUT_S = 0.5

_client: redis.Redis | None = None


def connect(url: str, timeout_s: float = READ_TIMEOUT_S) -> redis.Redis:
    """A client that gives up at once: without this, redis-py tries three times more with seconds between."""
    return redis.Redis.from_url(
        url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
    )


def _redis() -> redis.Redis:
    global _client
    if _client is None:
        _client = connect(settings.REDIS_URL)
    return _client


def latest_tell(payloads: dict[str, bytes], watched: Collection[str] | None, client: redis.Redis) -> None:
    """Keeps the newest values by object key ("host:<uuid>", "workload:<uuid>") and tells them to who watches.

    Each payload is JSON and carries its `at`. `watched`: the keys that anybody watches; None: not known.
    """
    if not payloads:
        return
    pipe = client.pipeline(transaction=False)
    pipe.hset(KEY, mapping=payloads)
    for key in payloads if watched is None else payloads.keys() & set(watched):
        pipe.publish(CHANNEL + key, payloads[key])
    pipe.execute()


def latest_write(values: Values, client: redis.Redis | None = None) -> None:
    """Keeps and tells values that nobody has serialised yet."""
    latest_tell({key: json.dumps(value).encode() for key, value in values.items()}, None, client or _redis())


def watched_read(client: redis.Redis) -> set[str]:
    """Keys of the objects that some page watches just now: a subscription ends with its process."""
    channels: Any = client.pubsub_channels(CHANNEL + "*")
    return {channel.decode().removeprefix(CHANNEL) for channel in channels}


def watched_note(hosts: dict[str, tuple[bool, set[str]]], client: redis.Redis) -> None:
    """Leaves each host's plane a note of what is watched of it; it runs out by itself."""
    if hosts:
        pipe = client.pipeline(transaction=False)
        for name, (is_host, workloads) in hosts.items():
            pipe.set(WATCHED_KEY + name, note_of(is_host, workloads), ex=TTL_S)
        pipe.execute()


def latest_read(keys: Iterable[str], now: float | None = None, client: redis.Redis | None = None) -> Values:
    """Fresh values by object key, in one call; what is missing or stale is left out.

    Empty when Redis does not answer within half a second: a page never fails for want of a figure.
    """
    wanted = list(keys)
    if not wanted or (settings.TESTING and client is None):
        return {}
    try:
        rows: Any = (client or _redis()).hmget(KEY, wanted)
    except (redis.RedisError, OSError) as error:
        log.warning("Newest values could not be read: %s", error)
        return {}
    oldest = (now if now is not None else time.time()) - FRESH_S
    found = {key: json.loads(row) for key, row in zip(wanted, rows, strict=True) if row}
    return {key: value for key, value in found.items() if value.get("at", 0) >= oldest}


def latest_prune(client: redis.Redis, now: float, oldest_s: float = 3600.0) -> int:
    """Forgets objects that nobody has spoken of for an hour; how many. Walks the whole hash in pieces."""
    stale = []
    for key, row in client.hscan_iter(KEY, count=1000):
        if json.loads(row).get("at", 0) < now - oldest_s:
            stale.append(key)
    return int(client.hdel(KEY, *stale)) if stale else 0  # type: ignore[arg-type]
