"""A VM's screen: each viewer has a connection of its own to QEMU's VNC socket, and only bytes go through here."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

from hosts.errors import Invalid
from hosts.plane.gateway.rfb import ViewerFilter
from hosts.plane.gateway.session import Session, Viewer

# One for all screens of the process: what is read is encrypted before anything else is read.
_PIECE = memoryview(bytearray(256 * 1024))


class VncSession(Session, asyncio.BufferedProtocol):
    """Is the protocol of the connection to QEMU. Who takes nothing is not sent anything: QEMU itself then waits."""

    is_bare = True

    def __init__(self, viewer: Viewer, view_only: bool) -> None:
        self._viewer = viewer
        self._filter = ViewerFilter(view_only)
        self._qemu: asyncio.Transport | None = None

    # -- QEMU's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._qemu = transport = cast("asyncio.Transport", transport)
        transport.pause_reading()  # until the web process has been told

    def get_buffer(self, sizehint: int) -> memoryview:
        return _PIECE

    def buffer_updated(self, count: int) -> None:
        self._viewer.send(_PIECE[:count])

    def pause_writing(self) -> None:
        self._viewer.hold()

    def resume_writing(self) -> None:
        self._viewer.go_on()

    def connection_lost(self, error: Exception | None) -> None:
        self._qemu = None
        self._viewer.end("The screen was closed by its VM.")

    # -- the viewer's side

    def start(self) -> None:
        if self._qemu is None:
            self._viewer.end("The screen was closed by its VM.")
        else:
            self._qemu.resume_reading()

    def viewer_sent(self, data: bytes) -> None:
        try:
            passed = self._filter.feed(data)
        except Invalid as error:
            self._viewer.end(error.message)
            return
        if passed and self._qemu is not None:
            self._qemu.write(passed)

    def viewer_full(self) -> None:
        if self._qemu is not None:
            self._qemu.pause_reading()

    def viewer_ready(self) -> None:
        if self._qemu is not None:
            self._qemu.resume_reading()

    def close(self) -> None:
        qemu, self._qemu = self._qemu, None
        if qemu is not None:
            qemu.abort()


async def vnc_open(viewer: Viewer, view_only: bool, *, path: str | None = None, descriptor: int = -1) -> VncSession:
    """A session on the socket at `path`, or on a connected socket that libvirt opened. Raises OSError."""
    loop = asyncio.get_running_loop()
    session = VncSession(viewer, view_only)

    def make() -> Any:
        return session

    if path is not None:
        await loop.create_unix_connection(make, path)
    else:
        await loop.create_connection(make, sock=socket.socket(fileno=descriptor))
    return session
