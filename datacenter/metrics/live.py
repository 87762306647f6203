"""The newest values of hosts and workloads, as the collector last saw them. decisions/0007."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from typing import Any

import redis
from django.conf import settings

log = logging.getLogger(__name__)

KEY = "stowage.latest"
FRESH_S = 30.0  # older values are not shown: a number that stands still looks like a live one
READ_TIMEOUT_S = 0.5

_client: redis.Redis | None = None


def _redis() -> redis.Redis:
    global _client
    if _client is None:
        _client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=READ_TIMEOUT_S, socket_connect_timeout=READ_TIMEOUT_S
        )
    return _client


def latest_write(values: dict[str, dict[str, Any]], client: redis.Redis | None = None) -> None:
    """Keeps the values by object key ("host:<uuid>", "workload:<uuid>"); each carries its `at`."""
    if values:
        (client or _redis()).hset(KEY, mapping={key: json.dumps(value) for key, value in values.items()})


def latest_read(keys: Iterable[str], now: float | None = None) -> dict[str, dict[str, Any]]:
    """Fresh values by object key, in one call; what is missing or stale is left out.

    Empty when Redis does not answer within half a second: a page never fails for want of a figure.
    """
    wanted = list(keys)
    if not wanted or settings.TESTING:
        return {}
    try:
        rows = _redis().hmget(KEY, wanted)
    except redis.RedisError as error:
        log.warning("Newest values could not be read: %s", error)
        return {}
    oldest = (now if now is not None else time.time()) - FRESH_S
    found = {key: json.loads(row) for key, row in zip(wanted, rows, strict=True) if row}
    return {key: value for key, value in found.items() if value.get("at", 0) >= oldest}
