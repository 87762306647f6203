"""The Docker Engine API without blocking: short questions by httpx, streams by the connection that it hands over.

Source: Docker Engine API 1.41, ContainerAttach ("Hijacking"), ExecStart.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from hosts.console_wire import ABSENT, DENIED, IMPOSSIBLE, STALE, UNREACHABLE
from hosts.drivers.base import container_uuid
from hosts.plane.gateway.session import Refusal

TIMEOUT_S = 4.0
HEAD_BYTES_MOST = 16 * 1024
WAITING_BYTES_MOST = 256 * 1024


class Engine:
    """One host's engine by its unix socket. Each call ends within a few seconds, whatever the engine does (M39)."""

    def __init__(self, url: str) -> None:
        self._path = url.removeprefix("unix://") if url.startswith("unix://") else ""
        self._client: httpx.AsyncClient | None = None

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer as data. Raises Refusal."""
        if not self._path:
            raise Refusal(
                IMPOSSIBLE, "This host's container engine is managed from afar. Run hostd on the host itself."
            )
        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=self._path)
            self._client = httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=TIMEOUT_S)
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Refusal(UNREACHABLE, "The container engine does not answer.") from error
        if answer.status_code >= 400:
            raise Refusal(ABSENT if answer.status_code == 404 else DENIED, _sentence(answer.content))
        return answer.json() if answer.content else None

    async def container(self, uuid: str, generation: int, *, is_off_too: bool = False) -> dict[str, Any]:
        """The inspected container of that uuid, running (or not, too), and of that generation. Raises Refusal."""
        labelled = quote(json.dumps({"label": [f"stowage.uuid={uuid}"]}))
        every_state = int(is_off_too)
        rows = await self.ask("GET", f"/containers/json?all={every_state}&filters={labelled}")
        if not rows:
            every = await self.ask("GET", f"/containers/json?all={every_state}")
            rows = [row for row in every if container_uuid(row["Id"], row.get("Labels") or {}) == uuid]
        if not rows:
            raise Refusal(ABSENT, "The container does not run on this host.")
        stamped = (rows[0].get("Labels") or {}).get("stowage.generation", "")
        if stamped.isdigit() and generation and int(stamped) != generation:
            raise Refusal(STALE, "The container changed hands since this console was asked for.")
        found = await self.ask("GET", f"/containers/{rows[0]['Id']}/json")
        if found["State"].get("Paused") and not is_off_too:
            raise Refusal(DENIED, "The container is paused.")
        return dict(found)

    @asynccontextmanager
    async def reading(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The pieces of an answer that goes on for as long as the engine has something to say. Raises Refusal."""
        transport = httpx.AsyncHTTPTransport(uds=self._path)
        timeout = httpx.Timeout(TIMEOUT_S, read=None)
        try:
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=timeout) as client,
                client.stream("GET", path) as answer,
            ):
                if answer.status_code >= 400:
                    raise Refusal(ABSENT if answer.status_code == 404 else DENIED, _sentence(await answer.aread()))
                yield answer.aiter_raw()
        except httpx.HTTPError as error:
            raise Refusal(UNREACHABLE, "The container engine hung up.") from error

    async def stream(self, path: str, body: Any, stream: EngineStream) -> None:
        """Lets `stream` take over the connection that a POST to `path` opens. Raises Refusal."""
        loop = asyncio.get_running_loop()
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await loop.create_unix_connection(lambda: stream, self._path)
                stream.transport.write(head.encode() + data)
                await stream.began
        except (OSError, TimeoutError) as error:
            stream.close()
            raise Refusal(UNREACHABLE, "The container engine does not answer.") from error

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


class EngineStream(asyncio.Protocol):
    """A connection that began as a request and goes on as a stream of bytes, held until `start`."""

    def __init__(self, on_data: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_data = on_data
        self._on_lost = on_lost
        self._head: bytearray | None = bytearray()
        self._early = b""
        self._is_started = False
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            self._pass(data)
            return
        self._head += data
        head, found, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not found and len(self._head) <= HEAD_BYTES_MOST:
            return
        status = head.split(b" ", 2)[1:2]
        if status not in ([b"101"], [b"200"]):
            self._fail(Refusal(ABSENT if status == [b"404"] else DENIED, _sentence(rest)))
            return
        self._head = None
        self.transport.pause_reading()
        self._pass(rest)
        if not self.began.done():
            self.began.set_result(None)

    def _pass(self, data: bytes) -> None:
        if self._is_started:
            self._on_data(data)
        else:
            self._early += data

    def start(self) -> None:
        self._is_started = True
        early, self._early = self._early, b""
        if early:
            self._on_data(early)
        if self.transport is None:
            self._on_lost()
        else:
            self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        self._fail(Refusal(UNREACHABLE, "The container engine hung up."))
        if self._is_started:
            self._on_lost()

    def _fail(self, refusal: Refusal) -> None:
        if not self.began.done():
            self.began.set_exception(refusal)

    def write(self, data: bytes) -> int:
        """How many bytes were taken: a program that reads nothing must not fill our memory."""
        if self.transport is None:
            return 0
        room = max(0, WAITING_BYTES_MOST - self.transport.get_write_buffer_size())
        if room:
            self.transport.write(data[:room])
        return min(room, len(data))

    def pause(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def resume(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def close(self) -> None:
        transport, self.transport = self.transport, None
        if not self.began.done():
            self.began.cancel()
        self._is_started = False
        if transport is not None:
            transport.abort()


class Demultiplexer:
    """Output of a container without a terminal: 8-byte heads of stream and length between pieces (M37's chapter).

    Both streams are shown as one, with carriage returns, as a terminal would.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        said = bytearray()
        at = 0
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                said += piece
                self._left -= len(piece)
                at += len(piece)
                continue
            wanted = 8 - len(self._head)
            self._head += data[at : at + wanted]
            at += wanted
            if len(self._head) == 8:
                self._left = int.from_bytes(self._head[4:8], "big")
                self._head.clear()
        return bytes(said).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _sentence(content: bytes) -> str:
    """The engine's own words, cut; it is the host's and not trusted with length."""
    try:
        said = json.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        return "The container engine refused."
    text = "".join(character for character in str(said)[:300] if character.isprintable())
    return f"The container engine refused: {text}"
