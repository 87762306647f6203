"""Consoles and pages through real nginx and Caddy, by the configurations that Stowage ships. No lab is needed."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from datacenter.origin import ExactOrigin
from tests.browser.fake_consoles import SOCKET, TICKETS, FakeConsoles
from tests.proxies import Proxy, caddy, nginx, proxy_run, served

SHORT_S = 1.5  # a proxy that closes what is silent for so long


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what came: the scheme, the client, some headers and the length of the body."""
    length = 0
    while True:
        message = await receive()
        length += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    said = {"scheme": scope["scheme"], "client": scope["client"][0], "host": headers["host"], "length": length}
    said["forwarded"] = headers.get("x-forwarded-proto")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})


async def application(scope: Any, receive: Any, send: Any) -> None:
    behind = ExactOrigin(FAKE) if scope["type"] == "websocket" else FAKE
    await behind(scope, receive, send)


FAKE = FakeConsoles(mirror)


@pytest.fixture(autouse=True)
def behind_tls(settings) -> None:
    settings.BEHIND_TLS = True
    settings.ALLOWED_HOSTS = ["localhost"]


@pytest.fixture(params=[nginx, caddy], ids=lambda proxy: proxy.__name__)
def proxy(request: pytest.FixtureRequest) -> Proxy:
    return request.param


@pytest.fixture
def port(proxy: Proxy, tmp_path: Path) -> Iterator[int]:
    with served(application, ping_s=20.0) as behind, proxy_run(proxy, tmp_path, behind) as port:
        yield port


def client(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"https://localhost:{port}", verify=False, trust_env=False)


@contextmanager
def console(port: int, origin: str | None = None) -> Iterator[ClientConnection]:
    """A serial line, opened with its ticket."""
    ticket = client(port).post(TICKETS, json={"kind": "serial", "thing": "web-1"}).json()["ticket"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    own = f"https://localhost:{port}"
    address = f"wss://localhost:{port}{SOCKET}"
    with connect(address, ssl=context, origin=origin or own, ping_interval=None, proxy=None) as line:
        line.send(json.dumps({"ticket": ticket}))
        assert "opened" in json.loads(line.recv(5))
        yield line


def answers(line: ClientConnection, text: str) -> bool:
    """Whether what is typed comes back."""
    line.send(text.encode() + b"\r")
    heard = b""
    while f"you typed {text}".encode() not in heard:
        heard += line.recv(5)
    return True


def test_a_console_opens_by_tls_and_answers(port: int):
    with console(port) as line:
        assert answers(line, "hello")


def test_a_console_from_a_foreign_page_is_refused(port: int):
    with pytest.raises(InvalidStatus, match="403"), console(port, origin="https://evil.example"):
        pass


def test_the_browser_is_told_apart_from_the_proxy_and_cannot_pretend(port: int):
    forged = {"X-Forwarded-Proto": "http", "X-Forwarded-For": "203.0.113.9"}

    said = client(port).get("/", headers=forged).json()

    assert said["scheme"] == said["forwarded"] == "https"
    assert said["host"] == f"localhost:{port}"
    assert said["client"] == "127.0.0.1"


def test_an_image_of_many_megabytes_goes_through(port: int):
    said = client(port).post("/images/new/", content=b"x" * (30 << 20)).json()

    assert said["length"] == 30 << 20


def test_pings_keep_a_silent_console_open_where_nginx_closes_what_is_silent(tmp_path: Path):
    with (
        served(application, ping_s=0.3) as behind,
        proxy_run(nginx, tmp_path, behind, idle_s=SHORT_S) as port,
        console(port) as line,
    ):
        drain(line)
        time.sleep(2 * SHORT_S)

        assert answers(line, "still here")


def test_without_pings_it_would_be_closed(tmp_path: Path):
    with (
        served(application, ping_s=60.0) as behind,
        proxy_run(nginx, tmp_path, behind, idle_s=SHORT_S) as port,
        console(port) as line,
        pytest.raises(ConnectionClosed),
    ):
        while True:
            line.recv(20)


def drain(line: ClientConnection) -> None:
    """Reads what is there, until it is silent."""
    try:
        while True:
            line.recv(0.3)
    except TimeoutError:
        return
