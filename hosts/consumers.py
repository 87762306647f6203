"""The one websocket of every page: doorbells for what changed, and the newest values that the page watches."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_out
from django.contrib.sessions.backends.db import SessionStore
from django.dispatch import receiver
from django.http import HttpRequest

from hosts.access import may
from hosts.live_feed import feed_here
from hosts.publish import GROUP

log = logging.getLogger(__name__)

RECHECK_S = 30.0  # a websocket outlives a logout: the login and the right are asked for again
REJOIN_EVERY = 20  # rechecks; the layer forgets members after an hour
GATHER_S = 0.2  # what happens within this time goes out as one message
SAMPLES_GATHER_S = 0.01  # samples come in bursts, and people see them come late
REST_S = 0.1  # between two messages of a page that watches much
SPEAK_AT_LEAST_S = 20.0  # silence for longer tells the page that the line is dead
SLOW_S = 30.0  # a page that takes no message for this long is let go; it comes back and reads anew
WATCHED_MOST = 1000
CHANGES_MOST = 500  # more pending than this: one "read everything again" instead
FORBIDDEN = 4403
LOGGED_OUT = 4401


def session_group(session_key: str) -> str:
    """The group of a login's sockets. The key itself is a secret and does not go to Redis."""
    return "session." + hashlib.sha256(session_key.encode()).hexdigest()[:40]


@receiver(user_logged_out)
def close_sockets(request: HttpRequest, **_: Any) -> None:
    """Closes the sockets of a login at its logout; where the layer is away the recheck does it."""
    key = request.session.session_key if request is not None else None
    if not key:
        return
    try:
        async_to_sync(get_channel_layer().group_send)(session_group(key), {"type": "live.logout"})
    except OSError as error:  # redis.ConnectionError is one
        log.warning("Sockets of a logout stay until their next check: %r", error)


class LiveConsumer(AsyncWebsocketConsumer):
    """Sends {"sequence", "changes": [{"kind", "id", "what"}], "samples": {source: values}, "again"?}.

    `sequence` counts the messages of this socket; `again` means that doorbells were lost. Takes
    {"watch": [sources]}: the "host:<uuid>" and "workload:<uuid>" whose samples the page shows.

    Nothing queues up for a slow page: pending changes are a set, pending samples hold one value for each
    source, the newest. Samples come from the process's feed as text, the same for all who watch.
    """

    stowage_verb = "view"  # asked for at connect and every RECHECK_S

    async def connect(self) -> None:
        self.sequence = 0
        self.watched: set[str] = set()
        self.changes: dict[tuple[str, str], str] = {}
        self.samples: dict[str, str] = {}
        self.again = False
        self.news = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        if not await self._is_allowed():
            await self.close(code=FORBIDDEN)
            return
        self.groups = [GROUP, session_group(self.scope["session"].session_key)]
        await self._join()
        await self.accept()
        self.tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._recheck())]

    async def disconnect(self, code: int) -> None:
        self._watch(set())
        for task in self.tasks:
            task.cancel()  # Channels itself leaves the groups

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Takes the list of watched sources; anything else is nonsense and is passed over."""
        try:
            watched = json.loads(text_data or "")["watch"]
            sources = {source for source in watched[:WATCHED_MOST] if _is_source(source)}
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        if self.tasks:  # a socket that was refused, or is closing, watches nothing
            self._watch(sources)

    def _watch(self, sources: set[str]) -> None:
        feed = feed_here()
        for source in sources - self.watched:
            feed.watch(source, self)
        for source in self.watched - sources:
            feed.unwatch(source, self)
            self.samples.pop(source, None)
        self.watched = sources

    def sample(self, source: str, text: str) -> None:
        """Takes an object's newest values; what has not been sent yet of it is forgotten."""
        self.samples[source] = text
        self.news.set()

    async def live_change(self, event: dict[str, Any]) -> None:
        if len(self.changes) >= CHANGES_MOST:
            self.changes.clear()
            self.again = True
        self.changes[event["kind"], event["id"]] = event["what"]
        self.news.set()

    async def live_logout(self, event: dict[str, Any]) -> None:
        await self.close(code=LOGGED_OUT)

    async def _speak(self) -> None:
        """Sends what is pending, gathered; an empty message when there is long nothing to say."""
        clock, spoke_at = asyncio.get_running_loop().time, 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SPEAK_AT_LEAST_S):
                    await self.news.wait()
                gather_s = GATHER_S if self.changes or self.again else SAMPLES_GATHER_S
                await asyncio.sleep(max(gather_s, spoke_at + REST_S - clock()))
            self.news.clear()
            text = self._taken()
            spoke_at = clock()
            try:
                async with asyncio.timeout(SLOW_S):
                    await self.send(text)
            except TimeoutError:
                await self.close()
                return

    def _taken(self) -> str:
        """What is pending as one message; nothing is pending afterwards."""
        self.sequence += 1
        parts = [f'"sequence":{self.sequence}']
        if self.changes:
            changes = [{"kind": kind, "id": id_, "what": what} for (kind, id_), what in self.changes.items()]
            parts.append(f'"changes":{json.dumps(changes)}')
        if self.samples:
            samples = ",".join(f'"{source}":{text}' for source, text in self.samples.items())
            parts.append(f'"samples":{{{samples}}}')
        if self.again:
            parts.append('"again":true')
        self.changes, self.samples, self.again = {}, {}, False
        return f"{{{','.join(parts)}}}"

    async def _recheck(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(RECHECK_S)
            rounds += 1
            if not await self._is_allowed():
                await self.close(code=LOGGED_OUT)
                return
            if rounds % REJOIN_EVERY == 0:
                await self._join()

    async def _join(self) -> None:
        for group in self.groups or []:
            await self.channel_layer.group_add(group, self.channel_name)

    @database_sync_to_async
    def _is_allowed(self) -> bool:
        """Whether the login still stands (no logout, no new password) and its user may view."""
        user, session = self.scope.get("user"), self.scope.get("session")
        if user is None or session is None or not user.is_authenticated or not session.session_key:
            return False
        kept = SessionStore(session.session_key)
        fresh = get_user_model().objects.filter(pk=user.pk).first()
        if fresh is None or kept.get(SESSION_KEY) != str(fresh.pk):
            return False
        return kept.get(HASH_SESSION_KEY) == fresh.get_session_auth_hash() and may(fresh, "view")


def _is_source(source: Any) -> bool:
    if not isinstance(source, str):
        return False
    kind, _, id_ = source.partition(":")
    try:
        return kind in {"host", "workload"} and str(UUID(id_)) == id_
    except ValueError:
        return False
