"""A browser's websocket against our ASGI stack. (channels.testing wants daphne, which we do not have.)"""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.test import Client

from datacenter.asgi import application
from tests.actors import client_of

HOST = "localhost:8400"
OWN_ORIGIN = f"http://{HOST}"


class Socket:
    """One websocket with a login and an origin; `code` is the close code once it was closed."""

    def __init__(self, client: Client, address: str = "/ws/live/", origin: str | None = OWN_ORIGIN) -> None:
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        headers = [(b"cookie", cookies.encode()), (b"host", HOST.encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        scope = {
            "type": "websocket",
            "path": address,
            "query_string": b"",
            "headers": headers,
            "subprotocols": [],
        }
        self._peer = ApplicationCommunicator(application, scope)
        self.code: int | None = None

    async def open(self) -> bool:
        """Whether the server accepted."""
        await self._peer.send_input({"type": "websocket.connect"})
        answer = await self._peer.receive_output(5)
        if answer["type"] == "websocket.close":
            self.code = answer.get("code")
        return answer["type"] == "websocket.accept"

    async def say(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self._peer.send_input({"type": "websocket.receive", "text": text})

    async def hear(self, timeout_s: float = 5) -> dict[str, Any] | None:
        """The next message; None when the server closed instead."""
        answer = await self._peer.receive_output(timeout_s)
        if answer["type"] == "websocket.close":
            self.code = answer.get("code")
            return None
        return json.loads(answer["text"])

    async def hears_nothing(self, for_s: float = 0.5) -> bool:
        return await self._peer.receive_nothing(for_s)

    async def leave(self) -> None:
        await self._peer.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._peer.wait(5)


async def socket_of(actor: str, address: str = "/ws/live/", origin: str | None = OWN_ORIGIN) -> Socket:
    """A websocket of that actor, not opened yet."""
    return Socket(await sync_to_async(client_of)(actor), address, origin)
