"""uvicorn's websocket with what consoles ask of it: a stream without copies, and no waiting for who takes nothing.

`scope["extensions"]["stowage.stream"]` is a `Stream`; an application uses it instead of `websocket.send` where every
message is binary and large. Source: RFC 6455 5.2 (frames), uvicorn's `WebSocketsSansIOProtocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# A browser that has taken nothing for so long when its socket is closed is cut off.
STUCK_S = 5.0
_BINARY_WHOLE = 0x82


class Stream:
    """Binary messages straight to the connection; calls never wait. For the event loop's thread."""

    def __init__(self, wire: WebSocketWire) -> None:
        self._wire = wire
        self.on_ready: Callable[[], None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the browser is slow: send nothing before `on_ready` is called."""
        return not self._wire.writable.is_set()

    def write(self, data: bytes | memoryview) -> bool:
        """Sends one message; whether all of it is gone, so that its memory may be used again."""
        wire = self._wire
        if wire.close_sent or wire.disconnected or wire.transport.is_closing():
            return True
        wire.transport.writelines((header(len(data)), data))
        return wire.transport.get_write_buffer_size() == 0


def header(length: int) -> bytes:
    """The head of a whole binary message from a server, which masks nothing."""
    if length < 126:
        return bytes((_BINARY_WHOLE, length))
    if length < 65536:
        return bytes((_BINARY_WHOLE, 126)) + length.to_bytes(2, "big")
    return bytes((_BINARY_WHOLE, 127)) + length.to_bytes(8, "big")


class WebSocketWire(WebSocketsSansIOProtocol):
    """One websocket of the dashboard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stream = Stream(self)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if scope := getattr(self, "scope", None):
            scope["extensions"]["stowage.stream"] = self.stream

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.stream.on_ready is not None:
            self.stream.on_ready()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # the closing frame is the last in the queue, however long that is
            self._cut_if_stuck()
        await super().send(message)

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._cut_if_stuck()

    def keepalive_timeout(self) -> None:
        """A browser that answers no ping takes no closing frame either: what waits for it goes with it."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _cut_if_stuck(self) -> None:
        if not self.disconnected and self.transport.get_write_buffer_size():
            self.loop.call_later(STUCK_S, self._cut)

    def _cut(self) -> None:
        if not self.disconnected:
            self.transport.abort()
