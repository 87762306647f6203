"""Consoles without a host: the address and the messages of the real ones, an echoing line and a drawn screen behind.

For looking at pages (tests/browser/preview.py) and for tests of the browser's side and of proxies, where no guest is
needed. `closed`, `moved` and lost lines come by what is typed: see `COMMANDS`.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Application = Callable[..., Awaitable[None]]

TICKETS, SOCKET = "/api/consoles/tickets", "/live/console/"
WIDTH, HEIGHT = 320, 200
# What the line holds already; with what a hostile guest may send, and a question that nobody must answer again.
REPLAY = (
    b"Debian GNU/Linux 12 web-1 ttyS0\r\n\r\n\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b]8;;https://evil.example\x07link"
    b"\x1b]8;;\x07\r\n\x1b[1;32mgreen\x1b[0m \x1b[38;2;255;120;0mtrue colour\x1b[0m \x1b[44mblue\x1b[0m\x1b[6n\r\n"
)
COMMANDS = b"commands here: move, end, lose, quit, flood, notice, taken\r\n"


class FakeConsoles:
    """ASGI middleware that answers the two addresses of consoles itself."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.tickets: dict[str, dict[str, Any]] = {}
        self.received: list[bytes] = []  # what browsers sent as the stream, of all consoles
        self.said: list[dict[str, Any]] = []  # what browsers said as JSON
        self.refusal: str | None = None  # a sentence, while no ticket is given

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == TICKETS:
            await self._give(receive, send)
        elif scope["type"] == "websocket" and scope["path"] == SOCKET:
            await self._open(receive, send)
        else:
            await self._application(scope, receive, send)

    async def _give(self, receive: Any, send: Any) -> None:
        asked = json.loads((await receive())["body"])
        ticket = secrets.token_urlsafe(16)
        status, answer = 201, {"ticket": ticket, "expires_s": 30}
        if self.refusal:
            status, answer = 409, {"message": self.refusal}
        else:
            self.tickets[ticket] = asked
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _open(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        first = json.loads((await receive())["text"])
        asked = self.tickets.pop(first.get("ticket", ""), None)
        console = FakeConsole(self, asked or {}, receive, send)
        with contextlib.suppress(Gone):
            if asked is None:
                await console.close("This ticket was used already, or is too old.", 4408)
            await (console.screen() if asked["kind"] == "vnc" else console.line())


class Gone(Exception):
    """The browser has left, or was let go."""


class FakeConsole:
    """One open console."""

    def __init__(self, consoles: FakeConsoles, asked: dict[str, Any], receive: Any, send: Any) -> None:
        self._consoles, self._asked, self._receive, self._send = consoles, asked, receive, send
        self._is_watching = bool(asked.get("view_only"))

    async def say(self, message: dict[str, Any]) -> None:
        await self._send({"type": "websocket.send", "text": json.dumps(message)})

    async def show(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, sentence: str, code: int) -> None:
        await self.say({"closed": sentence})
        await self._send({"type": "websocket.close", "code": code})
        raise Gone

    async def hear(self) -> bytes | dict[str, Any]:
        """The next of the browser's messages."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            raise Gone
        if event.get("bytes") is not None:
            self._consoles.received.append(event["bytes"])
            return bytes(event["bytes"])
        message: dict[str, Any] = json.loads(event["text"])
        self._consoles.said.append(message)
        return message

    async def opened(self) -> None:
        opened = {"kind": self._asked["kind"], "name": "web-1", "host": "node-01", "viewers": 1, "is_followed": True}
        await self.say({"opened": opened | {"is_writer": not self._is_watching}})

    # -- a line of text -----------------------------------------------------------------------------------

    async def line(self) -> None:
        await self.opened()
        if self._asked["kind"] == "serial":
            await self.show(REPLAY)
        await self.show(COMMANDS + b"$ ")
        typed = b""
        while True:
            heard = await self.hear()
            if isinstance(heard, dict):
                await self._write(heard)
                continue
            await self.show(heard.replace(b"\r", b"\r\n"))
            typed += heard
            while b"\r" in typed:
                word, _, typed = typed.partition(b"\r")
                await self._obey(word.decode(errors="replace"))
                await self.show(b"$ ")

    async def _write(self, heard: dict[str, Any]) -> None:
        if "write" in heard:
            is_writer = bool(heard["write"])
            await self.say({"writer": is_writer, "viewers": 2, "writer_name": "operator" if is_writer else ""})
        if "log" in heard:
            await self.say({"notice": f"The session log: {heard['log']}."})

    async def _obey(self, word: str) -> None:
        if word == "move":
            await self.say({"moved": {"host": "node-02"}})
        elif word == "end":
            await self.close("The process has ended with status 0.", 1000)
        elif word == "quit":
            await self.close("Your right to this console was taken away.", 4403)
        elif word == "lose":
            await self._send({"type": "websocket.close", "code": 1012})
            raise Gone
        elif word == "flood":
            for number in range(2000):
                await self.show(b"".join(b"flood %06d %s\r\n" % (number, b"x" * 60) for _ in range(100)))
        elif word == "notice":
            await self.say({"notice": "anna opened this console too."})
        elif word == "taken":
            await self.say({"writer": False, "viewers": 2, "writer_name": "anna"})
        elif word:
            await self.show(f"you typed {word}\r\n".encode())

    # -- a screen --------------------------------------------------------------------------------------------

    async def screen(self) -> None:
        """RFC 6143, with no security type but None and no encoding but Raw."""
        await self.opened()
        while await self._conversation():
            await self.say({"moved": {"host": "node-02"}})

    async def _conversation(self) -> bool:
        """One RFB conversation; ends when F12 is pressed, which moves the guest."""
        while await self.hear() != {"ready": True}:
            pass
        self._buffer = b""
        self._colour = 0
        await self.show(b"RFB 003.008\n")
        await self._bytes(12)
        await self.show(b"\x01\x01")
        await self._bytes(1)
        await self.show(b"\0\0\0\0")
        await self._bytes(1)
        name = b"<img src=x onerror=alert(1)>"
        form = struct.pack("!BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
        await self.show(struct.pack("!HH", WIDTH, HEIGHT) + form + struct.pack("!I", len(name)) + name)
        is_asked = False
        while True:
            kind = (await self._bytes(1))[0]
            if kind == 0:
                await self._bytes(19)
            elif kind == 2:
                count = struct.unpack("!xH", await self._bytes(3))[0]
                await self._bytes(4 * count)
            elif kind == 3:
                is_asked = True
                if not (await self._bytes(9))[0]:
                    is_asked = await self._draw()
            elif kind == 4:
                is_down, keysym = struct.unpack("!BxxI", await self._bytes(7))
                if keysym == 0xFFC9:
                    return True
                self._colour += 1 if is_down else 0
                is_asked = await self._draw() if is_asked and is_down else is_asked
            elif kind == 5:
                await self._bytes(5)
            elif kind == 6:
                length = struct.unpack("!xxxi", await self._bytes(7))[0]
                text = await self._bytes(abs(length))
                await self.show(b"\x03\0\0\0" + struct.pack("!I", len(text)) + text.upper())

    async def _draw(self) -> bool:
        """Sends the picture; False: nobody waits for one any more."""
        bars = [(36 * bar, 255 - 30 * bar, 60 + 20 * (self._colour % 8)) for bar in range(8)]
        row = b"".join(bytes(bars[x * 8 // WIDTH]) + b"\0" for x in range(WIDTH))
        await self.show(b"\0\0\0\x01" + struct.pack("!HHHHi", 0, 0, WIDTH, HEIGHT, 0) + row * HEIGHT)
        return False

    async def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            heard = await self.hear()
            self._buffer += heard if isinstance(heard, bytes) else b""
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
