"""The serial lines that somebody looks at now, one connection to each VM's."""

from __future__ import annotations

import asyncio
import os

from hosts.console_wire import ABSENT, DENIED, IMPOSSIBLE, ConsoleRequest
from hosts.drivers.base import DomainConsoles
from hosts.plane.gateway.device import Device
from hosts.plane.gateway.replay import joined, tail_read
from hosts.plane.gateway.serial import SerialLine, SerialSession, SocketEnd
from hosts.plane.gateway.session import Refusal, Viewer

# What the line says while its log is read may be in the log too, a moment later.
SETTLE_S = 0.05
UNWATCHED_S = 15.0


class Lines:
    """Opens a line for its first viewer and forgets it after its last."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Future[SerialLine]] = {}

    async def open(self, viewer: Viewer, request: ConsoleRequest, found: DomainConsoles) -> SerialSession:
        """A session on the VM's line. Raises Refusal."""
        known = self._open.get(request.thing)
        if known is None or (known.done() and ((line := _line_of(known)) is None or line.is_lost)):
            known = asyncio.ensure_future(self._connect(request.thing, found))
            self._open[request.thing] = known
        line = await asyncio.shield(known)
        if line.is_crowded:
            raise Refusal(DENIED, f"Too many people look at the serial line of {found.name}.")
        return SerialSession(viewer, line, request.user, request.view_only, request.replay_from)

    async def _connect(self, uuid: str, found: DomainConsoles) -> SerialLine:
        line = SerialLine(lambda over: self._forget(uuid, over))
        try:
            line.attach(await _end_of(found, line))
        except OSError as error:
            raise Refusal(ABSENT, f"The serial line of {found.name} does not answer.") from error
        await asyncio.sleep(SETTLE_S)
        tail = await asyncio.to_thread(tail_read, found.serial_log)
        early = line.early()
        line.seed(await asyncio.to_thread(joined, tail, early), len(early))
        # Whoever asked for it may have left meanwhile.
        asyncio.get_running_loop().call_later(UNWATCHED_S, line.close_unwatched)
        return line

    def _forget(self, uuid: str, line: SerialLine) -> None:
        known = self._open.get(uuid)
        if known is not None and _line_of(known) is line:
            del self._open[uuid]


def _line_of(known: asyncio.Future[SerialLine]) -> SerialLine | None:
    """The line, None while it is not open yet or where it could not be opened."""
    is_open = known.done() and not known.cancelled() and known.exception() is None
    return known.result() if is_open else None


async def _end_of(found: DomainConsoles, line: SerialLine) -> SocketEnd | Device:
    """This end of the line. Raises OSError, Refusal."""
    if found.serial_socket:
        loop = asyncio.get_running_loop()
        _, end = await loop.create_unix_connection(lambda: SocketEnd(line.heard, line.lost), found.serial_socket)
        return end
    if found.serial_pty:
        device = Device(os.open(found.serial_pty, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), line.heard, line.lost)
        device.start()
        return device
    raise Refusal(IMPOSSIBLE, f"{found.name} has no serial line that can be reached: neither a socket nor a pty.")
