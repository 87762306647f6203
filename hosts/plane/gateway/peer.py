"""One TLS connection from a web process: it must say what it wants, signed, within seconds; then it is a console."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hosts.console_wire import (
    CONTROL,
    DATA_BYTES_MOST,
    DENIED,
    ENDED,
    ConsoleRequest,
    FrameReader,
    control_frame,
    control_read,
    data_frame,
    request_read,
)
from hosts.errors import Invalid
from hosts.plane.gateway.session import Refusal, Session, Viewer

log = logging.getLogger(__name__)

HELLO_S = 5.0
OPEN_S = 12.0
# Above this a viewer counts as slow. One more read of 256 KiB may come on top.
UNSENT_BYTES_MOST = 256 * 1024
INPUT_BYTES_MOST = 64 * 1024

Open = Callable[[ConsoleRequest, Viewer], Awaitable[Session]]


class Peer(asyncio.Protocol):
    """The protocol of such a connection, and the viewer of its session.

    `on_known` is called once when the connection has said who it is, or has ended before.
    """

    def __init__(
        self,
        host: str,
        key: Callable[[], str],
        clock: Callable[[], float],
        open_session: Open,
        on_known: Callable[[], None],
        on_over: Callable[[Peer], None],
    ) -> None:
        self._host, self._key, self._clock = host, key, clock
        self._open_session, self._on_known, self._on_over = open_session, on_known, on_over
        self._challenge = secrets.token_hex(16)
        self._reader = FrameReader(INPUT_BYTES_MOST)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[None] | None = None
        self._session: Session | None = None
        self._is_bare = False
        self.is_full = False
        self.request: ConsoleRequest | None = None

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(UNSENT_BYTES_MOST, UNSENT_BYTES_MOST // 4)
        self._deadline = asyncio.get_running_loop().call_later(HELLO_S, self._hang_up)
        transport.write(control_frame({"challenge": self._challenge, "host": self._host}))

    def data_received(self, data: bytes) -> None:
        if self._is_bare and self._session is not None:
            self._session.viewer_sent(data)
            return
        try:
            if self._session is not None:
                self._framed(self._session, data)
            else:
                self._hello(data)
        except Invalid as error:
            log.warning("A console's connection was ended: %s %s", error.message, error.detail)
            self._refuse(DENIED, error.message)

    def pause_writing(self) -> None:
        self.is_full = True
        if self._session is not None:
            self._session.viewer_full()

    def resume_writing(self) -> None:
        self.is_full = False
        if self._session is not None:
            self._session.viewer_ready()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._known()
        if self._opening is not None:
            self._opening.cancel()
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._log("closed")
        self._on_over(self)

    # -- the way to a session

    def _hello(self, data: bytes) -> None:
        frame, rest = self._reader.next_frame(data)
        if frame is None:
            return
        if rest or frame[0] != CONTROL or self._opening is not None:
            raise Invalid("A request for a console came with something behind it.")
        self.request = request_read(
            self._key(), frame[1], host=self._host, challenge=self._challenge, now=self._clock()
        )
        self._known()
        self._opening = asyncio.create_task(self._open(self.request))

    def _known(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._on_known()

    async def _open(self, request: ConsoleRequest) -> None:
        try:
            async with asyncio.timeout(OPEN_S):
                session = await self._open_session(request, self)
        except Refusal as refusal:
            self._refuse(refusal.kind, refusal.sentence)
            return
        except TimeoutError:
            self._refuse("unreachable", "The host took too long to open the console.")
            return
        except Exception:  # an edge: one console's failure must not stay a silent connection
            log.exception("A console could not be opened")
            self._refuse("unreachable", "The host failed to open the console. Its log says more.")
            return
        if self._transport is None or self._transport.is_closing():
            session.close()
            return
        self._transport.write(control_frame({"opened": session.opened()}))
        self._session, self._is_bare = session, session.is_bare
        self._log("opened")
        session.start()

    def _framed(self, session: Session, data: bytes) -> None:
        for kind, body in self._reader.feed(data):
            if kind == CONTROL:
                session.viewer_asked(control_read(body))
            else:
                session.viewer_sent(body)

    def _refuse(self, kind: str, sentence: str) -> None:
        if self._session is not None:
            self.end(sentence)
        elif self._transport is not None:
            self._transport.write(control_frame({"refused": kind, "sentence": sentence}))
            self._transport.close()

    def _log(self, what: str) -> None:
        if (asked := self.request) is not None:
            log.info("Console %s: %s of %s for %s%s.", what, asked.kind, asked.thing, asked.user, _looking(asked))

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- what a session asks of its viewer

    def send(self, data: bytes | memoryview) -> None:
        """TLS has encrypted it when `write` returns: of what is not sent yet it keeps a copy of its own."""
        if self._transport is None:
            return
        if self._is_bare:
            self._transport.write(data)
            return
        for at in range(0, len(data), DATA_BYTES_MOST):
            self._transport.write(data_frame(bytes(data[at : at + DATA_BYTES_MOST])))

    def tell(self, message: dict[str, Any]) -> None:
        if self._transport is not None and not self._is_bare and self._session is not None:
            self._transport.write(control_frame(message))

    def hold(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def end(self, sentence: str, **more: Any) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._log("ended")
        if self._transport is not None:
            if not self._is_bare:
                self._transport.write(control_frame({ENDED: sentence, **more}))
            self._transport.close()
            # Who reads nothing any more keeps no buffer here.
            asyncio.get_running_loop().call_later(HELLO_S, self._hang_up)


def _looking(request: ConsoleRequest) -> str:
    return ", to look only" if request.view_only else ""
