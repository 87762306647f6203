"""A viewer that costs little: a blocking websocket that counts and skips pixels without looking at them."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
import time
from typing import Any

BUFFER_BYTES = 1024 * 1024
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Viewer:
    """One websocket. Source: RFC 6455; the mask is of zeros, which leaves the bytes as they are."""

    def __init__(self, port: int, path: str, headers: dict[str, str] | None = None, tls: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        key = base64.b64encode(os.urandom(16)).decode()
        words = {
            "Host": f"localhost:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in words.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = self.socket.recv(4096)
            assert more, f"it hung up: {answer!r}"
            answer += more
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert b" 101 " in head, head
        self._memory = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._memory)
        self._memory[: len(rest)] = rest
        self._at, self._end, self._left = 0, len(rest), 0
        self._texts: list[dict[str, Any]] = []

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes, opcode: int = BINARY) -> None:
        length = len(data)
        assert length < 65536
        head = bytes((0x80 | opcode,))
        head += bytes((0x80 | length,)) if length < 126 else bytes((0x80 | 126,)) + length.to_bytes(2, "big")
        self.socket.sendall(head + bytes(4) + data)

    def say(self, message: dict[str, Any]) -> None:
        self.send(json.dumps(message).encode(), TEXT)

    def text(self, key: str) -> Any:
        """The value of the next text message with that key."""
        while True:
            for at, message in enumerate(self._texts):
                if key in message:
                    return self._texts.pop(at)[key]
            assert not self._left, "bytes of a stream came first"
            self._head()

    def read(self, count: int) -> bytes:
        """The next bytes of the stream."""
        out = bytearray()
        while len(out) < count:
            taken = self._take(count - len(out))
            out += self._memory[self._at - taken : self._at]
        return bytes(out)

    def skip(self, count: int) -> None:
        while count:
            count -= self._take(count)

    def _take(self, most: int) -> int:
        """How many bytes of the stream were passed over, at least one."""
        while not self._left:
            self._head()
        if self._at == self._end:
            self._fill()
        taken = min(most, self._left, self._end - self._at)
        self._at += taken
        self._left -= taken
        return taken

    def _fill(self) -> None:
        if self._at == self._end:
            self._at = self._end = 0
        elif self._end > BUFFER_BYTES - 4096:
            rest = self._memory[self._at : self._end]
            self._memory[: len(rest)] = rest
            self._at, self._end = 0, len(rest)
        count = self.socket.recv_into(self._view[self._end :])
        assert count, f"it was closed: {self._texts}"
        self._end += count

    def _need(self, count: int) -> None:
        while self._end - self._at < count:
            self._fill()

    def _head(self) -> None:
        """Reads on to the next binary message with something in it; texts are kept, pings answered."""
        self._need(2)
        opcode, length = self._memory[self._at] & 15, self._memory[self._at + 1] & 127
        wide = {126: 2, 127: 8}.get(length, 0)
        self._need(2 + wide)
        if wide:
            length = int.from_bytes(self._memory[self._at + 2 : self._at + 2 + wide], "big")
        self._at += 2 + wide
        if opcode in (0, BINARY):
            self._left = length
            return
        self._need(length)
        body = bytes(self._memory[self._at : self._at + length])
        self._at += length
        if opcode == TEXT:
            self._texts.append(json.loads(body))
        elif opcode == PING:
            self.send(body, PONG)
        else:
            assert opcode != CLOSE, f"it was closed: {body!r} {self._texts}"


class Screen:
    """A VNC client on a viewer's stream, raw pixels of 4 bytes. Source: RFC 6143 7.1 to 7.7"""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        assert viewer.read(12) == b"RFB 003.008\n"
        viewer.send(b"RFB 003.008\n")
        viewer.read(viewer.read(1)[0])
        viewer.send(b"\x01")
        viewer.read(4)
        viewer.send(b"\x01")
        head = viewer.read(24)
        self.width, self.height = struct.unpack(">HH", head[:4])
        viewer.read(int.from_bytes(head[20:24], "big"))
        viewer.send(struct.pack(">BBHi", 2, 0, 1, 0))

    def ask(self, width: int, height: int) -> None:
        self.viewer.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))

    def update(self, width: int, height: int) -> None:
        """Asks for that part of the picture and waits until all of it has come."""
        self.ask(width, height)
        pixels = 0
        while pixels < width * height:
            kind, rectangles = struct.unpack(">BxH", self.viewer.read(4))
            assert kind == 0, kind
            for _ in range(rectangles):
                _, _, wide, high, encoding = struct.unpack(">HHHHi", self.viewer.read(12))
                assert encoding == 0, encoding
                self.viewer.skip(wide * high * 4)
                pixels += wide * high

    def round_trips_ms(self, count: int) -> list[float]:
        """Times of updates of 16 x 16 pixels."""
        times = []
        for _ in range(count):
            began = time.perf_counter()
            self.update(16, 16)
            times.append((time.perf_counter() - began) * 1000)
        return times

    def bytes_per_second(self, seconds: float) -> tuple[float, int]:
        """Of whole pictures, one asked for when the last has come; and how many bytes that were."""
        began, pictures = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            self.update(self.width, self.height)
            pictures += 1
        total = pictures * self.width * self.height * 4
        return total / (time.perf_counter() - began), total
