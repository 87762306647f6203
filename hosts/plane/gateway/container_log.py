"""A container's log: what its engine kept of its output, and what it goes on to say. To look at only.

Source: Docker Engine API 1.41, ContainerLogs.
"""

from __future__ import annotations

import asyncio
import time

from hosts.console_wire import DENIED, ConsoleRequest
from hosts.plane.gateway.engine import Demultiplexer, Engine
from hosts.plane.gateway.session import Refusal, Session, Viewer

LINES_MOST = 5000  # what a page keeps


class LogSession(Session):
    """Reads no faster than its viewer does: the engine keeps the rest."""

    def __init__(self, viewer: Viewer, engine: Engine, path: str, *, has_terminal: bool) -> None:
        self._viewer = viewer
        self._engine = engine
        self._path = path
        self._demultiplexer = None if has_terminal else Demultiplexer()
        self._may_go_on = asyncio.Event()
        self._may_go_on.set()
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async with self._engine.reading(self._path) as pieces:
                async for piece in pieces:
                    self._viewer.send(self._demultiplexer.feed(piece) if self._demultiplexer else piece)
                    await self._may_go_on.wait()
        except Refusal as refusal:
            self._viewer.end(refusal.sentence)
        else:
            self._viewer.end("The container does not run, and its log ends here.")

    def viewer_full(self) -> None:
        self._may_go_on.clear()

    def viewer_ready(self) -> None:
        self._may_go_on.set()

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()


async def log_open(viewer: Viewer, engine: Engine, request: ConsoleRequest) -> LogSession:
    """A session on the log of a container, running or not. Raises Refusal."""
    found = await engine.container(request.thing, request.generation, is_off_too=True)
    if not all(word.isascii() and word.isdigit() for word in request.command):
        raise Refusal(DENIED, "A log begins a number of minutes ago.")
    minutes = int(request.command[0]) if request.command else 0
    since = f"&since={int(time.time()) - minutes * 60}" if minutes else ""
    path = f"/containers/{found['Id']}/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail={LINES_MOST}{since}"
    return LogSession(viewer, engine, path, has_terminal=bool(found["Config"].get("Tty")))
