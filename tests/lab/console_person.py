"""A browser with consoles: tickets over the API, the websocket, and as much of RFB as a test needs."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.lab.api_person import token_in

LIMIT_S = 20.0


class Login:
    """Somebody logged in by the login page; several may be the same user."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self._session = requests.Session()
        login = f"{url}/login/"
        form = token_in(self._session.get(login, timeout=20).text)
        words = {"username": username, "password": password, "csrfmiddlewaretoken": form}
        answer = self._session.post(login, data=words, headers={"Referer": login}, timeout=20)
        assert answer.ok and 'name="password"' not in answer.text, "the login failed"
        self._token = token_in(answer.text)

    def call(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"X-CSRFToken": self._token, "Referer": self.url}
        return self._session.request(method, f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def ticket(self, kind: str, thing: str, **more: Any) -> str:
        answer = self.call("POST", "/api/consoles/tickets", {"kind": kind, "thing": thing, **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["ticket"])

    def log_out(self) -> None:
        self._session.post(
            f"{self.url}/logout/", data={"csrfmiddlewaretoken": self._token}, headers={"Referer": self.url}, timeout=20
        )

    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._session.cookies)


@dataclass
class Heard:
    """All that came: the stream, and the messages in their order."""

    stream: bytearray = field(default_factory=bytearray)
    messages: list[dict[str, Any]] = field(default_factory=list)


class ConsoleSocket:
    """An open websocket of `/live/console/`. `code` is the close code once it was closed."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard = Heard()
        self.opened: dict[str, Any] = {}
        self.code: int | None = None
        self.closed_at: float | None = None
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, login: Login, ticket: str | None, origin: str | None = None) -> ConsoleSocket:
        address = login.url.replace("http", "ws", 1) + "/live/console/"
        socket = await connect(
            address,
            origin=origin or login.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": login.cookie()},
            max_size=None,
            compression=None,
        )
        console = cls(socket)
        if ticket is not None:
            await console.say({"ticket": ticket})
        return console

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                async with self._news:
                    if isinstance(message, bytes):
                        self.heard.stream += message
                    else:
                        self.heard.messages.append(json.loads(message))
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        async with self._news:
            self.code, self.closed_at = self.socket.close_code, time.monotonic()
            self._news.notify_all()

    async def say(self, message: dict[str, Any]) -> None:
        await self.socket.send(json.dumps(message))

    async def type(self, text: str | bytes) -> None:
        await self.socket.send(text.encode() if isinstance(text, str) else text)

    async def until(self, is_so: Callable[[], Any], limit_s: float = LIMIT_S) -> Any:
        found: Any = None

        def is_over() -> bool:
            nonlocal found
            found = is_so()
            return bool(found) or self.code is not None

        said = ""
        async with self._news:
            try:
                async with asyncio.timeout(limit_s):
                    await self._news.wait_for(is_over)
            except TimeoutError:
                said = "it did not come"
        said = said or f"closed with {self.code}"
        assert found, f"{said}: {self.heard.messages} {bytes(self.heard.stream[-500:])!r}"
        return found

    async def message(self, key: str, limit_s: float = LIMIT_S) -> Any:
        """The value of the next message that has the key; it and those before are taken."""

        def taken() -> list[Any]:
            for at, message in enumerate(self.heard.messages):
                if key in message:
                    del self.heard.messages[: at + 1]
                    return [message[key]]
            return []

        return (await self.until(taken, limit_s))[0]

    async def stream_has(self, text: str | bytes, limit_s: float = LIMIT_S) -> None:
        wanted = text.encode() if isinstance(text, str) else text
        await self.until(lambda: wanted in self.heard.stream, limit_s)

    async def take(self, count: int, limit_s: float = LIMIT_S) -> bytes:
        """The next `count` bytes of the stream."""
        await self.until(lambda: len(self.heard.stream) >= count, limit_s)
        taken = bytes(self.heard.stream[:count])
        del self.heard.stream[:count]
        return taken

    async def until_closed(self, limit_s: float = LIMIT_S) -> int:
        async with self._news, asyncio.timeout(limit_s):
            await self._news.wait_for(lambda: self.code is not None)
        assert self.code is not None
        return self.code

    async def close(self) -> None:
        await self.socket.close()
        await self._reading


@dataclass(frozen=True)
class Screen:
    """What a VNC server said of itself."""

    width: int
    height: int
    name: str


async def screen_greet(console: ConsoleSocket) -> Screen:
    """The RFB handshake without a password. Source: RFC 6143 7.1 to 7.3"""
    await console.say({"ready": True})
    version = await console.take(12)
    assert version == b"RFB 003.008\n", version
    await console.type(version)
    count = (await console.take(1))[0]
    types = await console.take(count)
    assert 1 in types, types
    await console.type(b"\x01")
    assert await console.take(4) == b"\0\0\0\0"
    await console.type(b"\0")  # asks for the screen alone; the gateway makes it a shared one
    head = await console.take(24)
    width, height = struct.unpack(">HH", head[:4])
    (length,) = struct.unpack(">I", head[20:24])
    name = (await console.take(length)).decode(errors="replace")
    return Screen(width, height, name)


async def screen_pixels(console: ConsoleSocket, screen: Screen) -> bytes:
    """The whole picture, raw, 4 bytes a pixel. Source: RFC 6143 7.5.3, 7.6.1, 7.7.1"""
    await console.type(struct.pack(">BBHi", 2, 0, 1, 0))  # SetEncodings: raw
    await console.type(struct.pack(">BBHHHH", 3, 0, 0, 0, screen.width, screen.height))
    pixels = bytearray(screen.width * screen.height * 4)
    seen = 0
    while seen < screen.width * screen.height:
        kind = (await console.take(1))[0]
        assert kind == 0, kind
        (rectangles,) = struct.unpack(">xH", await console.take(3))
        for _ in range(rectangles):
            x, y, width, height, encoding = struct.unpack(">HHHHi", await console.take(12))
            assert encoding == 0, encoding
            rows = await console.take(width * height * 4)
            for row in range(height):
                at = ((y + row) * screen.width + x) * 4
                pixels[at : at + width * 4] = rows[row * width * 4 : (row + 1) * width * 4]
            seen += width * height
    return bytes(pixels)
