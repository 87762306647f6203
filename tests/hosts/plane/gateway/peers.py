"""What a gateway meets on its host, in this process: a VNC server, a serial line, a container engine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hosts.console_wire import ConsoleRequest
from hosts.drivers.base import DomainConsoles
from hosts.plane.config import PlaneConfig
from hosts.plane.context import Drivers
from hosts.plane.gateway.certificate import certificate_ensure, fingerprint, server_context
from hosts.plane.gateway.gateway import Gateway
from workloads.consoles.link import GatewayLink, GatewayPlace, link_open

KEY = "k" * 64
VM, BOX = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
WIDTH, HEIGHT = 64, 48


@dataclass
class FakeConsoles:
    """The VMs of a host, by uuid."""

    vms: dict[str, DomainConsoles] = field(default_factory=dict)
    freeze: float = 0.0

    def find(self, uuid: str) -> DomainConsoles | None:
        time.sleep(self.freeze)
        return self.vms.get(uuid)

    def graphics_open(self, uuid: str) -> int:
        raise AssertionError("its screen listens on a socket")


class UnixPeer:
    """A server on a unix socket that keeps what it heard and the writers of those who came."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.heard = bytearray()
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.serve(reader, writer)
        if writer in self.writers:
            self.writers.remove(writer)
        writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.heard += data
            self.answer(data, writer)

    def answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        """Nothing, unless a subclass does."""

    async def until(self, is_so: Any) -> None:
        async with asyncio.timeout(10):
            while not is_so():
                await asyncio.sleep(0.01)


class EchoLine(UnixPeer):
    """A serial line whose guest echoes, and writes all it says into a log as QEMU does."""

    def __init__(self, path: Path, log: Path) -> None:
        super().__init__(path)
        self.log = log
        log.touch()

    def answer(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.say(data)

    def say(self, data: bytes) -> None:
        with self.log.open("ab") as log:
            log.write(data)
        for writer in self.writers:
            writer.write(data)


class RfbServer(UnixPeer):
    """A VNC server: black pictures, and the keys that were pressed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.shared: list[int] = []
        self.keys: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"RFB 003.008\n")
        await reader.readexactly(12)
        writer.write(b"\x01\x01")
        await reader.readexactly(1)
        writer.write(bytes(4))
        self.shared += await reader.readexactly(1)
        writer.write(struct.pack(">HH16xI", WIDTH, HEIGHT, 4) + b"test")
        while True:
            (kind,) = await reader.readexactly(1)
            if kind == 3:
                _, x, y, width, height = struct.unpack(">BHHHH", await reader.readexactly(9))
                writer.write(struct.pack(">BxHHHHHi", 0, 1, x, y, width, height, 0) + bytes(width * height * 4))
                await writer.drain()
            elif kind == 4:
                self.keys.append(struct.unpack(">BxxI", await reader.readexactly(7))[1])
            elif kind == 2:
                (count,) = struct.unpack(">xH", await reader.readexactly(3))
                await reader.readexactly(4 * count)
            else:
                raise AssertionError(f"unexpected message {kind}")


class FakeEngine(UnixPeer):
    """As much of the Docker Engine API as an exec needs; the command echoes. `frozen`: it answers nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[str] = []
        self.sizes: list[str] = []
        self.exec: dict[str, Any] = {"Running": True, "Pid": 0, "ExitCode": None}
        self.frozen = False
        self.log_asked, self.log_ends = "", asyncio.Event()
        self.labels = {"stowage.uuid": BOX, "stowage.generation": "4"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            method, path, _ = head.decode().split(" ", 2)
            lengths = [
                line.split(":")[1] for line in head.decode().splitlines() if line.lower().startswith("content-l")
            ]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            self.asked.append(f"{method} {path.partition('?')[0]}")
            if self.frozen:
                await asyncio.sleep(3600)
            if path.endswith("/start"):
                writer.write(b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\n/ # ")
                while data := await reader.read(4096):
                    self.heard += data
                    writer.write(data)
                return
            if "/logs?" in path:
                self.log_asked = path
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for stream, text in ((1, b"one\n"), (2, b"two\n")):
                    piece = bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await self.log_ends.wait()
                writer.write(b"0\r\n\r\n")
                return
            self._write(writer, self._answer(path))

    def _answer(self, path: str) -> Any:
        if path.startswith("/containers/json"):
            return [{"Id": "c1", "Labels": self.labels}]
        if "/resize" in path:
            self.sizes.append(path.partition("?")[2])
        if path.endswith("c1/top"):
            return {"Titles": ["PID", "CMD"], "Processes": [["1", "sh -c evil\x1b[2J"], ["1234", "sleep 5"]]}
        if path.endswith("c1/changes"):
            return [{"Path": "/tmp/x", "Kind": 1}, {"Path": "/etc", "Kind": 0}]
        if path.endswith("c1/json"):
            return {"Id": "c1", "State": {"Running": True, "Paused": False}, "Config": {}}
        return {"Id": "e1"} if path.endswith("c1/exec") else self.exec

    @staticmethod
    def _write(writer: asyncio.StreamWriter, data: Any) -> None:
        body = json.dumps(data).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@dataclass
class Bench:
    """A gateway with a VM and a container, and how to reach it."""

    gateway: Gateway
    place: GatewayPlace
    screen: RfbServer
    line: EchoLine
    engine: FakeEngine
    consoles: FakeConsoles

    async def open(self, kind: str, place: GatewayPlace | None = None, **more: Any) -> GatewayLink:
        asked = ConsoleRequest(
            "alpha", kind, BOX if kind in ("exec", "attach", "log", "top", "diff") else VM, 4, False, "ann", "", 0.0
        )
        return await link_open(place or self.place, replace(asked, **more))


@asynccontextmanager
async def bench_open(folder: Path, key: str = KEY, **config: Any) -> AsyncIterator[Bench]:
    screen, line = RfbServer(folder / "vnc.sock"), EchoLine(folder / "serial.sock", folder / "serial.log")
    engine = FakeEngine(folder / "docker.sock")
    for peer in (screen, line, engine):
        await peer.start()
    found = DomainConsoles("web", 4, screen.path, True, line.path, None, str(line.log))
    consoles = FakeConsoles({VM: found})
    settings = PlaneConfig(name="alpha", state_dir=str(folder), docker_url=f"unix://{engine.path}", **config)
    certificate = certificate_ensure(folder, "alpha")
    gateway = Gateway(
        settings, server_context(certificate), lambda: key, time.time, Drivers(settings, {"consoles": consoles})
    )
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(gateway.serve(listener))
    place = GatewayPlace("alpha", "127.0.0.1", listener.getsockname()[1], fingerprint(certificate), key)
    try:
        yield Bench(gateway, place, screen, line, engine, consoles)
    finally:
        serving.cancel()
        await gateway.close()
        for peer in (screen, line, engine):
            await peer.stop()
        listener.close()


class Frames:
    """What a framed console said, gathered as it comes."""

    def __init__(self, link: GatewayLink) -> None:
        self.link = link
        self.said = bytearray()
        self.told: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while frames := await self.link.frames():
            for kind, body in frames:
                if kind:
                    self.told.append(json.loads(body))
                else:
                    self.said += body

    async def until(self, is_so: Any) -> None:
        async with asyncio.timeout(10):
            while not is_so(self):
                await asyncio.sleep(0.01)

    async def says(self, text: bytes) -> None:
        await self.until(lambda me: text in me.said)

    async def tells(self, key: str) -> Any:
        await self.until(lambda me: any(key in message for message in me.told))
        return next(message[key] for message in reversed(self.told) if key in message)

    async def ends(self) -> None:
        async with asyncio.timeout(10):
            await self._reading
