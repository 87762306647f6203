"""What goes on in a container, as its engine tells it: its processes, read again and again, and what it changed in its
file system. To look at only.

Source: Docker Engine API 1.41, ContainerTop, ContainerChanges.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hosts.console_wire import ConsoleRequest
from hosts.plane.gateway.engine import Engine
from hosts.plane.gateway.session import Refusal, Session, Viewer

AGAIN_S = 2.0
ROWS_MOST = 5000
CLEARED = "\x1b[2J\x1b[3J\x1b[H"
WIDTH_MOST = 500
_CHANGES = {0: "changed", 1: "added", 2: "deleted"}
Read = Callable[[], Awaitable[list[str]]]


class LookSession(Session):
    """Shows what `read` gives; with `again_s` anew after so long, for as long as the viewer keeps up."""

    def __init__(self, viewer: Viewer, read: Read, *, again_s: float | None, last_words: str = "") -> None:
        self._viewer = viewer
        self._read = read
        self._again_s = again_s
        self._last_words = last_words
        self._reading: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._reading = asyncio.create_task(self._show())

    async def _show(self) -> None:
        try:
            while True:
                if not self._viewer.is_full:
                    text = "\r\n".join(_plain(line) for line in await self._read())
                    self._viewer.send(f"{CLEARED if self._again_s else ''}{text}\r\n".encode())
                if self._again_s is None:
                    break
                await asyncio.sleep(self._again_s)
        except Refusal as refusal:
            self._viewer.end(refusal.sentence)
        else:
            self._viewer.end(self._last_words)

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()


async def processes_open(viewer: Viewer, engine: Engine, request: ConsoleRequest) -> LookSession:
    """A session on the processes of a running container. Raises Refusal."""
    found = await engine.container(request.thing, request.generation)

    async def read() -> list[str]:
        return _table(await engine.ask("GET", f"/containers/{found['Id']}/top"))

    return LookSession(viewer, read, again_s=AGAIN_S)


async def changes_open(viewer: Viewer, engine: Engine, request: ConsoleRequest) -> LookSession:
    """A session on what a container, running or not, changed of its image's files. Raises Refusal."""
    found = await engine.container(request.thing, request.generation, is_off_too=True)

    async def read() -> list[str]:
        rows = await engine.ask("GET", f"/containers/{found['Id']}/changes") or []
        lines = [f"{_CHANGES.get(row.get('Kind'), '?'):8} {row.get('Path')}" for row in rows[:ROWS_MOST]]
        if len(rows) > ROWS_MOST:
            lines.append(f"... and {len(rows) - ROWS_MOST:,} more")
        return lines or ["It has changed no file of its image."]

    last_words = "This is what it has changed until now. Volumes are not part of it."
    return LookSession(viewer, read, again_s=None, last_words=last_words)


def _table(answer: dict[str, Any]) -> list[str]:
    """The engine's rows in columns, the last as wide as it comes."""
    rows = [answer.get("Titles") or [], *(answer.get("Processes") or [])[:ROWS_MOST]]
    widths = [max(len(str(row[at])) for row in rows if at < len(row)) for at in range(max(map(len, rows)))]
    return [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]


def _plain(line: str) -> str:
    """Without what a terminal would obey: a process may call itself anything."""
    return "".join(character if character.isprintable() else "?" for character in line[:WIDTH_MOST])
