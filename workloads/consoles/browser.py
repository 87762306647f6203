"""The browser's end of a console's websocket, as ASGI gives it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
GOODBYE_S = 0.5


class BrowserGone(Exception):
    """The websocket is closed from the other side, or speaks no sense."""


class Browser:
    """Text messages are JSON both ways, binary ones are the stream. Sending waits while the browser is slow."""

    def __init__(
        self,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        extensions: Mapping[str, Any],
    ) -> None:
        self._receive = receive
        self._send = send
        self._is_closed = False
        # What our own server offers for large streams; None under another.
        self.fast: Any = extensions.get("stowage.stream")

    async def accept(self) -> None:
        await self._send({"type": "websocket.accept"})

    async def hear(self) -> dict[str, Any] | bytes:
        """The next message. Raises BrowserGone."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._is_closed = True
            raise BrowserGone
        if (data := event.get("bytes")) is not None:
            return bytes(data)
        try:
            message = json.loads(event.get("text") or "")
        except (ValueError, RecursionError):
            return {}
        return message if isinstance(message, dict) else {}

    async def stream(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def tell(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": json.dumps(message)})

    async def close(self, code: int, sentence: str) -> None:
        """Says why and closes. A browser that takes nothing is not waited for."""
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(Exception):  # gone meanwhile, each server says it in its own way
            async with asyncio.timeout(GOODBYE_S):
                await self._send({"type": "websocket.send", "text": json.dumps({"closed": sentence})})
        with contextlib.suppress(Exception):
            async with asyncio.timeout(GOODBYE_S):
                await self._send({"type": "websocket.close", "code": code, "reason": sentence[:120]})
