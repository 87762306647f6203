"""The door between lab hosts and the dashboard: on the planes' address only `/plane/v1/` is served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_PREFIX = "/plane/v1/"


class PlaneDoor:
    """ASGI middleware. Requests that came in on `plane_address` get 404 (a websocket: closed) outside of the prefix.

    Guests and containers of a lab host can reach that address too; they are not meant to find a login there.
    """

    def __init__(self, application: Application, plane_address: str | None) -> None:
        self._application = application
        self._plane_address = plane_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_closed(scope):
            await self._application(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b"Here only host planes are served.\n"})

    def _is_closed(self, scope: Scope) -> bool:
        if self._plane_address is None:
            return False
        # `server` is the local address of the accepted connection, not a header that a client chooses.
        came_in_on = (scope.get("server") or ("",))[0]
        return came_in_on == self._plane_address and not scope["path"].startswith(_PREFIX)
