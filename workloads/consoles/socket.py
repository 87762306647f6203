"""`/live/console/`: the first message brings a ticket, then the websocket is a console.

A bare ASGI application: what Channels' consumers do for each message would cost more than handing it on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from channels.db import database_sync_to_async

from hosts.access import may
from hosts.errors import Forbidden, NotFound, Refused, StowageError
from hosts.logins import Logins
from workloads.consoles import watch
from workloads.consoles.browser import Browser, BrowserGone
from workloads.consoles.relay import Relay
from workloads.consoles.watch import Ending, Facts, Subject, facts_of
from workloads.services.consoles import Opening, console_ended, ticket_use

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]

TICKET_S = 5.0
SECRET_LENGTH_MOST = 200
# Websockets of one login that have brought no ticket yet, and consoles of one web process.
WAITING_MOST = 20
CONSOLES_MOST = 1000


class ConsoleSocket:
    """One websocket."""

    stowage_verb = "view"  # to come in; what the console itself needs is asked of its ticket's user
    _waiting: Counter[str] = Counter()

    def __init__(self, scope: Scope, receive: Any, send: Any) -> None:
        self._session_key = getattr(scope.get("session"), "session_key", None) or ""
        self._browser = Browser(receive, send, scope.get("extensions") or {})
        self._receive, self._send = receive, send

    @classmethod
    def as_asgi(cls) -> Application:
        async def application(scope: Scope, receive: Any, send: Any) -> None:
            await cls(scope, receive, send).run()

        application.consumer_class = cls  # type: ignore[attr-defined]
        return application

    async def run(self) -> None:
        await self._receive()  # websocket.connect
        is_known = await database_sync_to_async(may_view)(self._session_key)
        if not is_known or self._waiting[self._session_key] >= WAITING_MOST or watch.WATCH.count >= CONSOLES_MOST:
            await self._send({"type": "websocket.close", "code": watch.FORBIDDEN})
            return
        await self._browser.accept()
        try:
            opened = await self._opening()
        except BrowserGone:
            return
        if isinstance(opened, Ending):
            await self._browser.close(opened.code, opened.sentence)
            return
        opening, facts = opened
        ending = Ending(watch.SILENT, "The web process ended.")
        try:
            ending = await Relay(self._browser, opening, self._session_key, facts).run()
            await self._browser.close(ending.code, ending.sentence)
        finally:
            await asyncio.shield(database_sync_to_async(console_ended)(opening.pk, ending.sentence))

    async def _opening(self) -> tuple[Opening, Facts] | Ending:
        """What the ticket opens. Raises BrowserGone."""
        self._waiting[self._session_key] += 1
        try:
            async with asyncio.timeout(TICKET_S):
                message = await self._browser.hear()
        except TimeoutError:
            return Ending(watch.REFUSED, "No ticket came in time.")
        finally:
            self._waiting[self._session_key] -= 1
            if not self._waiting[self._session_key]:
                del self._waiting[self._session_key]
        secret = message.get("ticket") if isinstance(message, dict) else None
        if not isinstance(secret, str) or len(secret) > SECRET_LENGTH_MOST:
            return Ending(watch.REFUSED, "The first message must bring a ticket.")
        return await database_sync_to_async(ticket_take)(self._session_key, secret)


def may_view(session_key: str) -> bool:
    """Whether the login stands and its user may see anything at all."""
    user = Logins().standing([session_key]).get(session_key)
    return user is not None and may(user, ConsoleSocket.stowage_verb)  # type: ignore[arg-type]


def ticket_take(session_key: str, secret: str) -> tuple[Opening, Facts] | Ending:
    """The console that the ticket opens, or why it opens none."""
    user = Logins().standing([session_key]).get(session_key)
    if user is None:
        return Ending(watch.LOGGED_OUT, "You were logged out.")
    try:
        opening = ticket_use(user, session_key, secret)
    except StowageError as error:
        return Ending(_code_of(error), error.message)
    subject = Subject(opening.pk, opening.kind, opening.thing_id, opening.thing_name, opening.is_view_only, session_key)
    facts = facts_of([subject]).get(opening.pk)
    if isinstance(facts, Facts):
        return opening, facts
    ending = facts or Ending(watch.GONE, f"{opening.thing_name} was removed.")
    console_ended(opening.pk, ending.sentence)
    return ending


def _code_of(error: StowageError) -> int:
    if isinstance(error, NotFound):
        return watch.GONE
    if isinstance(error, Forbidden):
        return watch.REFUSED
    return watch.ENDED if isinstance(error, Refused) else watch.SILENT
