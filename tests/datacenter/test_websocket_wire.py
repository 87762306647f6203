"""Our websocket on a real server and real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from datacenter import websocket_wire
from datacenter.websocket_wire import Stream, WebSocketWire, header

Handle = Callable[[Any, Any, Stream], Any]


@asynccontextmanager
async def served(handle: Handle, **config: Any) -> AsyncIterator[str]:
    """The address of a server whose websockets `handle` answers."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await handle(receive, send, scope["extensions"]["stowage.stream"])

    listener = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(
        application, lifespan="off", log_config=None, ws=WebSocketWire, ws_per_message_deflate=False, **config
    )
    server = uvicorn.Server(settings)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server._serve([listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = server.force_exit = True
        await serving


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 300_000])
async def test_a_streams_message_comes_whole(length: int) -> None:
    async def handle(receive: Any, send: Any, stream: Stream) -> None:
        stream.write(memoryview(b"x" * length))
        await send({"type": "websocket.send", "text": "behind it"})
        await receive()

    async with served(handle) as address, connect(address, max_size=None) as browser:
        assert await browser.recv() == b"x" * length
        assert await browser.recv() == "behind it"


def test_heads_are_those_of_the_standard() -> None:
    assert header(5) == b"\x82\x05"
    assert header(200) == b"\x82\x7e\x00\xc8"
    assert header(70000) == b"\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70"


async def test_a_slow_browser_is_told_of_and_the_rest_is_sent_when_it_reads() -> None:
    sent = 0

    async def handle(receive: Any, send: Any, stream: Stream) -> None:
        nonlocal sent
        ready = asyncio.Event()
        stream.on_ready = ready.set
        while sent < 100:
            while not stream.is_full and sent < 100:
                stream.write(b"y" * 200_000)
                sent += 1
            ready.clear()
            if stream.is_full:
                await ready.wait()
        await receive()

    async with served(handle) as address, connect(address, max_size=None, max_queue=1) as browser:
        await asyncio.sleep(0.3)
        assert sent < 100, "it was never full"

        for _ in range(100):
            assert await browser.recv() == b"y" * 200_000


async def test_a_browser_that_takes_nothing_is_cut_off_when_its_socket_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """S49: what waits for it would stay for as long as it likes."""
    monkeypatch.setattr(websocket_wire, "STUCK_S", 0.2)
    over = asyncio.Event()
    connections: set[Any] = set()

    async def handle(receive: Any, send: Any, stream: Stream) -> None:
        nonlocal connections
        connections = stream._wire.connections
        while not stream.is_full:
            stream.write(b"z" * 200_000)
        await send({"type": "websocket.close", "code": 4401})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        over.set()

    async with served(handle) as address:
        browser = await connect(address, max_size=None, max_queue=1)
        browser.transport.pause_reading()
        await asyncio.wait_for(over.wait(), 10)

        assert len(connections) == 1, "it was still there when its socket was closed"
        async with asyncio.timeout(10):
            while connections:
                await asyncio.sleep(0.02)
        browser.transport.abort()


async def test_a_browser_that_answers_no_ping_loses_what_waits_for_it() -> None:
    over = asyncio.Event()

    async def handle(receive: Any, send: Any, stream: Stream) -> None:
        while not stream.is_full:
            stream.write(b"z" * 200_000)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        over.set()

    async with served(handle, ws_ping_interval=0.1, ws_ping_timeout=0.2) as address:
        browser = await connect(address, max_size=None, max_queue=1)
        browser.transport.pause_reading()

        await asyncio.wait_for(over.wait(), 10)
        browser.transport.abort()
