"""The way from a web process to a host's console gateway: TLS, pinned to the certificate that the host reported."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from hosts.console_wire import (
    CONTROL,
    DATA_BYTES_MOST,
    UNREACHABLE,
    ConsoleRequest,
    FrameReader,
    control_frame,
    control_read,
    data_frame,
    frame_header,
    signed_request,
)
from hosts.errors import Invalid

CONNECT_S = 4.0
OPEN_S = 13.0
REQUEST_S = 60.0  # clocks may differ; the challenge is what makes a request good for one connection
# What may lie here unread before the gateway is made to wait.
UNREAD_BYTES_MOST = 512 * 1024
UNSENT_BYTES_MOST = 64 * 1024
PIECE_BYTES = 256 * 1024 + 16 * 1024  # what uvloop decrypts in one go
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 4), (socket.TCP_KEEPCNT, 3))


class LinkFailed(Exception):
    """No console through this gateway; `kind` is one of `hosts.console_wire`'s."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


@dataclass(frozen=True)
class GatewayPlace:
    """Where a host's gateway is, and by what it is known. `key` signs what we ask of it."""

    host: str
    address: str
    port: int
    sha256: str
    key: str


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # No authority knows these certificates: the fingerprint is compared before anything is said.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


CONTEXT = _client_context()


class _Piece:
    """Memory to read into, one for all links of the process: what was read is used before anything else is read."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(PIECE_BYTES))

    def replace(self) -> None:
        """Leaves the present memory to whoever still sends from it."""
        self.view = memoryview(bytearray(PIECE_BYTES))


_piece = _Piece()


class GatewayLink(asyncio.BufferedProtocol):
    """One console's connection. After `opened` it is a bare stream for a screen, frames for everything else.

    Buffered: uvloop otherwise makes an object of each 16 KiB that TLS gives, at three times the cost (measured).
    """

    def __init__(self) -> None:
        self._reader: FrameReader = FrameReader(DATA_BYTES_MOST)
        self._transport: asyncio.Transport | None = None
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._is_held = False
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self.over = asyncio.Event()
        self._sink: Callable[[memoryview], bool] | None = None
        self.opened: dict[str, Any] = {}

    # -- the protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(UNSENT_BYTES_MOST)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _piece.view

    def buffer_updated(self, count: int) -> None:
        if self._sink is None:
            self._keep(bytes(_piece.view[:count]))
        elif not self._sink(_piece.view[:count]):
            _piece.replace()

    def _keep(self, data: bytes) -> None:
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes > UNREAD_BYTES_MOST:
            self.hold()
        self._news.set()

    def connection_lost(self, error: Exception | None) -> None:
        self.over.set()
        self._transport = None
        self._news.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    # -- reading and writing

    async def read(self) -> bytes:
        """What came, all of it; empty when the gateway has hung up."""
        while not self._unread:
            if self.over.is_set():
                return b""
            self._news.clear()
            await self._news.wait()
        return self.unread()

    def unread(self) -> bytes:
        """What has come by now."""
        data = self._unread[0] if len(self._unread) == 1 else b"".join(self._unread)
        self._unread.clear()
        self._unread_bytes = 0
        self.go_on()
        return data

    async def frames(self) -> list[tuple[int, bytes]]:
        """At least one frame, as (kind, body); none when the gateway has hung up. Raises Invalid."""
        while data := await self.read():
            if frames := self._reader.feed(data):
                return frames
        return []

    def pour(self, sink: Callable[[memoryview], bool]) -> None:
        """From now on all that comes goes to the sink at once; it tells whether the memory may be used again.

        What lies here unread must have been read before.
        """
        self._sink = sink

    def hold(self) -> None:
        """Lets nothing more come until `go_on`."""
        if not self._is_held and self._transport is not None:
            self._is_held = True
            self._transport.pause_reading()

    def go_on(self) -> None:
        if self._is_held and self._transport is not None:
            self._is_held = False
            self._transport.resume_reading()

    @property
    def is_stuck(self) -> bool:
        """Whether the gateway takes no more input for now."""
        return not self._writable.is_set()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def send(self, data: bytes) -> None:
        """Input of a framed console."""
        self.write(data_frame(data))

    def tell(self, message: dict[str, Any]) -> None:
        self.write(control_frame(message))

    async def drained(self) -> None:
        await self._writable.wait()

    def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    # -- the way to a console

    async def begin(self, place: GatewayPlace, ask: ConsoleRequest) -> None:
        """Says who asks for what, and waits for the answer. Raises LinkFailed."""
        self._pin(place)
        challenge = (await self._answer()).get("challenge")
        request = ConsoleRequest(**{**ask.__dict__, "challenge": str(challenge), "expires": time.time() + REQUEST_S})
        body = signed_request(place.key, request)
        self.write(frame_header(CONTROL, len(body)) + body)
        answer = await self._answer()
        if not isinstance(answer.get("opened"), dict):
            raise LinkFailed(str(answer.get("refused") or UNREACHABLE)[:20], plain(answer.get("sentence")))
        self.opened = answer["opened"]

    def _pin(self, place: GatewayPlace) -> None:
        tls = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        seen = hashlib.sha256(certificate or b"").hexdigest()
        if not hmac.compare_digest(seen, place.sha256):
            raise LinkFailed(
                UNREACHABLE,
                f"Another machine answers where the consoles of {place.host} should be. It was told nothing.",
            )

    async def _answer(self) -> dict[str, Any]:
        """The next control frame; what came behind it is left for `read`."""
        frame = None
        while frame is None:
            data = await self.read()
            if not data:
                raise LinkFailed(UNREACHABLE, "The host hung up before the console was open.")
            try:
                frame, rest = self._reader.next_frame(data)
            except Invalid as error:
                raise LinkFailed(UNREACHABLE, error.message) from error
        if rest:
            self._keep(rest)
        try:
            return control_read(frame[1]) if frame[0] == CONTROL else {}
        except Invalid as error:
            raise LinkFailed(UNREACHABLE, error.message) from error


async def link_open(place: GatewayPlace, ask: ConsoleRequest) -> GatewayLink:
    """An open console. Never waits longer than some seconds for the host. Raises LinkFailed."""
    loop = asyncio.get_running_loop()
    link = GatewayLink()
    try:
        async with asyncio.timeout(CONNECT_S):
            transport, _ = await loop.create_connection(
                lambda: link, place.address, place.port, ssl=CONTEXT, ssl_shutdown_timeout=1.0
            )
        tune(transport.get_extra_info("socket"))
        async with asyncio.timeout(OPEN_S):
            await link.begin(place, ask)
    except (OSError, TimeoutError) as error:
        link.close()
        raise LinkFailed(UNREACHABLE, f"The consoles of {place.host} cannot be reached.") from error
    except BaseException:
        link.close()
        raise
    return link


def tune(connection: Any) -> None:
    """Small packets go at once, and a host that vanished is noticed within half a minute. Source: tcp(7)"""
    if connection is None:
        return
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, value)


def plain(text: Any, most: int = 300) -> str:
    """A host's sentence as a page may show it: cut, without control characters."""
    said = "".join(character for character in str(text or "")[: most * 2] if character.isprintable())[:most]
    return said or "The host gave no reason."
