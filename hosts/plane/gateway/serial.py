"""A VM's serial line: one connection to QEMU, held while somebody looks, fanned out to all who do.

QEMU's socket takes one connection at a time. One viewer writes; the others may ask for it, or take it over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hosts.console_wire import REPLAY_BYTES_MOST
from hosts.plane.gateway.device import WAITING_BYTES_MOST, Device
from hosts.plane.gateway.replay import LogTail
from hosts.plane.gateway.session import Session, Viewer

# What waits for a viewer that is slow; more than that is left out, and the viewer is told.
BACKLOG_BYTES_MOST = 256 * 1024
LOST = "The serial line was closed by its VM."
VIEWERS_MOST = 64


class SocketEnd(asyncio.Protocol):
    """The serial line's unix socket."""

    def __init__(self, on_data: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self.data_received = on_data  # type: ignore[method-assign]
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._on_lost()

    def write(self, data: bytes) -> int:
        """How many bytes were taken: a guest that reads nothing must not fill our memory."""
        if self._transport is None:
            return 0
        room = max(0, WAITING_BYTES_MOST - self._transport.get_write_buffer_size())
        if room:
            self._transport.write(data[:room])
        return min(room, len(data))

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


class SerialLine:
    """The line of one VM. `on_idle` is called when the last viewer left or the VM hung up."""

    def __init__(self, on_idle: Callable[[SerialLine], None]) -> None:
        self._on_idle = on_idle
        self._end: SocketEnd | Device | None = None
        self._viewers: list[SerialSession] = []
        self._asked: list[SerialSession] = []
        self._ring = bytearray()
        self._position = 0
        self._early: bytearray | None = bytearray()
        self.writer: SerialSession | None = None
        self.is_lost = False

    # -- the line's side

    def attach(self, end: SocketEnd | Device) -> None:
        self._end = end

    def heard(self, data: bytes) -> None:
        if self._early is not None:
            self._early += data
            return
        self._ring += data
        self._position += len(data)
        if len(self._ring) > 2 * REPLAY_BYTES_MOST:
            del self._ring[:-REPLAY_BYTES_MOST]
        for viewer in self._viewers:
            viewer.line_said(data)

    def early(self) -> bytes:
        """What came before the log was read."""
        return bytes(self._early or b"")

    def seed(self, tail: LogTail, early_bytes: int) -> None:
        """Begins with what the log told; the tail has the first `early_bytes` of what came early in it."""
        late = bytes((self._early or b"")[early_bytes:])
        self._early = None
        self._ring += tail.data
        self._position = tail.position
        if late:
            self.heard(late)

    def lost(self) -> None:
        self.is_lost = True
        for viewer in list(self._viewers):
            viewer.line_lost(self._position)
        self._on_idle(self)

    def close(self) -> None:
        self.is_lost = True
        if self._end is not None:
            self._end.close()

    # -- the viewers' side

    def replay(self, since: int | None) -> bytes:
        """The last 64 KiB, or what came after the offset `since` where that is less."""
        kept = bytes(self._ring[-REPLAY_BYTES_MOST:])
        missed = self._position - since if since is not None else -1
        return kept[len(kept) - missed :] if 0 <= missed <= len(kept) else kept

    def join(self, viewer: SerialSession) -> None:
        self._viewers.append(viewer)
        if self.writer is None and not viewer.view_only:
            self.writer = viewer
        self.tell_all(but=viewer)

    def leave(self, viewer: SerialSession) -> None:
        if viewer not in self._viewers:
            return
        self._viewers.remove(viewer)
        self._asked = [one for one in self._asked if one is not viewer]
        if self.writer is viewer:
            self._hand_on()
        self.tell_all()
        self.close_unwatched()

    def close_unwatched(self) -> None:
        """Lets go of the line when nobody looks at it: QEMU's socket is free for others then."""
        if not self._viewers and not self.is_lost:
            self.close()
            self._on_idle(self)

    def write(self, viewer: SerialSession, data: bytes) -> int:
        """How many bytes the line took; those of who is not the writer go nowhere and count as taken."""
        if viewer is not self.writer or self._end is None:
            return len(data)
        return self._end.write(data)

    def ask(self, viewer: SerialSession, wish: Any) -> None:
        """`wish` is True (when nobody else writes), "take" (at once) or False (no more)."""
        if viewer.view_only or wish not in (True, False, "take"):
            return
        if wish is False:
            self._asked = [one for one in self._asked if one is not viewer]
            if self.writer is viewer:
                self._hand_on()
        elif wish == "take" or self.writer is None:
            self._grant(viewer)
        elif viewer is not self.writer and viewer not in self._asked:
            self._asked.append(viewer)
        self.tell_all()

    def _hand_on(self) -> None:
        """Who asked first writes next; nobody where nobody asked."""
        self.writer = None
        if self._asked:
            self._grant(self._asked[0])

    def _grant(self, viewer: SerialSession) -> None:
        before, self.writer = self.writer, viewer
        self._asked = [one for one in self._asked if one is not viewer]
        if before is not None and before is not viewer:
            before.viewer.tell({"notice": f"{viewer.user} writes on this line now."})
        viewer.viewer.tell(
            {"notice": "You write on this line now. Whoever wrote before may have left a login open in it."}
        )

    def told(self, viewer: SerialSession) -> dict[str, Any]:
        writer = self.writer
        return {
            "writer": viewer is writer,
            "viewers": len(self._viewers),
            "writer_name": writer.user if writer else "",
        }

    def tell_all(self, but: SerialSession | None = None) -> None:
        for viewer in self._viewers:
            if viewer is not but:
                viewer.viewer.tell(self.told(viewer))

    @property
    def is_crowded(self) -> bool:
        return len(self._viewers) >= VIEWERS_MOST


class SerialSession(Session):
    """One viewer of a line. It is never waited for: what it does not take in time is left out."""

    def __init__(self, viewer: Viewer, line: SerialLine, user: str, view_only: bool, replay_from: int | None) -> None:
        self.viewer = viewer
        self.user = user
        self.view_only = view_only
        self._line = line
        self._replay_from = replay_from
        self._backlog = bytearray()
        self._skipped = 0
        self._is_started = False
        line.join(self)

    def opened(self) -> dict[str, Any]:
        return self._line.told(self)

    def start(self) -> None:
        self._is_started = True  # what was said since it joined is in the replay
        if replay := self._line.replay(self._replay_from):
            self.viewer.send(replay)
        if self._line.is_lost:
            self.line_lost(0)

    def line_said(self, data: bytes) -> None:
        if not self._is_started:
            return
        if not self.viewer.is_full:
            self.viewer.send(data)
            return
        self._backlog += data
        if len(self._backlog) > BACKLOG_BYTES_MOST:
            self._skipped += len(self._backlog) - REPLAY_BYTES_MOST
            del self._backlog[:-REPLAY_BYTES_MOST]

    def line_lost(self, position: int) -> None:
        self._flush()
        self.viewer.end(LOST, position=position)

    def viewer_sent(self, data: bytes) -> None:
        if self.view_only:
            return
        if lost := len(data) - self._line.write(self, data):
            self.viewer.tell({"notice": f"The VM takes no input now; {lost} bytes of it were dropped."})

    def viewer_asked(self, message: dict[str, Any]) -> None:
        if "write" in message:
            self._line.ask(self, message["write"])

    def viewer_ready(self) -> None:
        self._flush()

    def _flush(self) -> None:
        if self._skipped:
            self.viewer.tell({"notice": f"This page was too slow: {self._skipped} bytes of output were left out."})
            self._skipped = 0
        if self._backlog:
            backlog, self._backlog = bytes(self._backlog), bytearray()
            self.viewer.send(backlog)

    def close(self) -> None:
        self._line.leave(self)
