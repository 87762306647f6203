"""Doorbells for open pages: after the commit, "this has changed, fetch it again". Fire and forget."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import partial
from queue import Full, Queue

from channels.layers import get_channel_layer
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)

GROUP = "live"
PENDING_MOST = 1000
SEND_TIMEOUT_S = 2.0
COALESCE_S = 0.05

_pending: Queue[tuple[str, str, str]] = Queue(PENDING_MOST)
_lock = threading.Lock()
_thread: threading.Thread | None = None


def publish_change(kind: str, thing_id: object, what: str = "changed") -> None:
    """Tells open pages that a thing changed, once the caller's transaction stands. Never raises, never waits.

    `kind` is "operation", "host", "workload", "plan", "question", "schedule", "backup", "alert", "alert_rule"
    or "channel".
    Pages that miss it notice by their sequence and re-read.
    """
    transaction.on_commit(partial(_enqueue, (kind, str(thing_id), what)), robust=True)


def _enqueue(change: tuple[str, str, str]) -> None:
    if settings.TESTING:
        return
    try:
        _pending.put_nowait(change)
    except Full:
        return  # the layer is away or slow: pages re-read on their own clock
    _ensure_thread()


def _ensure_thread() -> None:
    global _thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            # A thread of its own with its own loop: the layer's connections belong to one loop.
            _thread = threading.Thread(target=_run, name="publish", daemon=True)
            _thread.start()


def _run() -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    while True:
        first = _pending.get()
        time.sleep(COALESCE_S)
        changes = dict.fromkeys([first, *(_pending.get_nowait() for _ in range(_pending.qsize()))])
        try:
            loop.run_until_complete(asyncio.wait_for(_send(list(changes)), SEND_TIMEOUT_S))
        except Exception as error:  # noqa: BLE001  an edge: a layer that is away must not stop operations
            log.warning("%d changes were not published: %r", len(changes), error)


async def _send(changes: list[tuple[str, str, str]]) -> None:
    layer = get_channel_layer()
    for kind, thing_id, what in changes:
        await layer.group_send(GROUP, {"type": "live.change", "kind": kind, "id": thing_id, "what": what})
