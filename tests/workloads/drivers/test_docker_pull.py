"""What a pull makes of the engine's words, and of a registry's refusals."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.drivers.docker_host import DockerHost
from hosts.errors import NotFound, Refused, Rejected
from workloads.drivers.base import RegistryLogin
from workloads.drivers.docker_pull import Layers, login_header, pull_follow, refusal
from workloads.drivers.references import address_plain, is_address, registry_of

IMAGE = "registry.example:5000/team/app:1"


@pytest.mark.parametrize(
    ("text", "has_login", "sentence"),
    [
        ("toomanyrequests: You have reached your pull rate limit", False, "too many requests"),
        ('Head "http://r/v2/": no basic auth credentials', False, "wants a login"),
        ("unauthorized: authentication required", True, "does not let the user"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", False, "wants a login"),
        ("manifest for r/team/app:2 not found: manifest unknown", True, "Check its name and tag"),
        ("Client.Timeout exceeded while awaiting headers", False, "did not answer in time"),
        ("dial tcp 10.0.0.9:5000: connect: connection refused", False, "could not pull it"),
    ],
)
def test_each_refusal_of_a_registry_has_its_sentence_and_is_not_tried_again(text: str, has_login: bool, sentence: str):
    error = refusal(text, IMAGE, has_login)

    assert sentence in error.message and "registry.example:5000" in error.message
    assert not error.transient


def test_layers_are_counted_in_bytes_and_a_countdown_is_no_news():
    layers = Layers()
    words: list[tuple[dict[str, Any], bool]] = [
        ({"id": "1", "status": "Pulling from team/app"}, True),
        ({"id": "aa", "status": "Pulling fs layer"}, True),
        ({"id": "bb", "status": "Waiting"}, False),
        ({"id": "aa", "status": "Downloading", "progressDetail": {"current": 10, "total": 40}}, True),
        ({"id": "aa", "status": "Downloading", "progressDetail": {"current": 10, "total": 40}}, False),
        ({"id": "aa", "status": "Retrying in 5 seconds"}, False),
        ({"id": "bb", "status": "Downloading", "progressDetail": {"current": 60, "total": 60}}, True),
        ({"id": "aa", "status": "Extracting", "progressDetail": {"current": 20, "total": 40}}, True),
    ]

    assert [layers.take(word) for word, _ in words] == [is_news for _, is_news in words]
    assert layers.percent == 100.0
    rows = {row["layer"]: row for row in layers.to_data()["layers"]}
    assert rows["aa"] == {"layer": "aa", "status": "Extracting 50 %", "done_bytes": 40, "total_bytes": 40}


def test_a_login_is_told_to_the_engine_and_its_password_to_nobody_who_prints_it():
    login = RegistryLogin("docker.io", "ann", "not-a-secret-6")

    told = json.loads(base64.urlsafe_b64decode(login_header(login)))
    assert told == {"username": "ann", "password": "not-a-secret-6", "serveraddress": "https://index.docker.io/v1/"}
    assert "not-a-secret-6" not in repr(login)


@pytest.mark.parametrize(
    ("reference", "address"),
    [
        ("redis:7", "docker.io"),
        ("team/app", "docker.io"),
        ("docker.io/library/redis", "docker.io"),
        ("localhost/x", "localhost"),
        ("Registry.example/x/y:1", "registry.example"),
        ("10.0.0.5:5000/x@sha256:" + "0" * 64, "10.0.0.5:5000"),
    ],
)
def test_the_registry_of_an_image_is_what_its_name_begins_with(reference: str, address: str):
    assert registry_of(reference) == address
    assert is_address(address_plain(address))


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A container engine that knows its version, and says `words` to a pull and then nothing more."""

    daemon_threads = True
    words: tuple[str, ...] = ()
    is_left: threading.Event  # whoever asked has hung up

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Asked(socketserver.StreamRequestHandler):
    server: Engine

    def handle(self) -> None:
        while line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            if b"/images/create" in line:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for word in self.server.words:
                    self.wfile.write(f"{len(word) + 1:x}\r\n{word}\n\r\n".encode())
                self.connection.settimeout(10)
                self.server.is_left.set() if self.connection.recv(1) == b"" else None
                return
            body = b'{"ApiVersion":"1.41","MinAPIVersion":"1.12"}'
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    server = Engine(str(tmp_path / "engine.sock"), Asked)
    server.is_left = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Told:
    """Keeps what a pull tells; asks it to stop once `stops` is set."""

    def __init__(self, stops: bool = False) -> None:
        self.stops = stops
        self.words: list[tuple[str, float | None]] = []

    def update(self, text: str, percent: float | None = None, data: Any = None, *, at_once: bool = False) -> None:
        self.words.append((text, percent))

    def check(self) -> None:
        if self.stops and self.words:
            raise Refused("The step was cancelled while it ran.")


def host_of(engine: Engine) -> DockerHost:
    return DockerHost(f"unix://{engine.server_address}")


def test_a_pull_in_which_nothing_comes_any_more_is_given_up(engine: Engine):
    engine.words = ('{"id":"aa","status":"Downloading","progressDetail":{"current":1,"total":4}}',)
    told, began = Told(), time.monotonic()

    with pytest.raises(Rejected, match="sent nothing for 1 s"):
        pull_follow(host_of(engine), IMAGE, told, None, 1.0)

    assert time.monotonic() - began < 4
    assert told.words == [(f"pulling {IMAGE}", 25.0)]
    assert engine.is_left.wait(2)


def test_a_pull_that_is_cancelled_ends_while_its_registry_is_silent(engine: Engine):
    engine.words = ('{"id":"aa","status":"Downloading","progressDetail":{"current":1,"total":4}}',)
    began = time.monotonic()

    with pytest.raises(Refused, match="cancelled"):
        pull_follow(host_of(engine), IMAGE, Told(stops=True), None, 30.0)

    assert time.monotonic() - began < 4 and engine.is_left.wait(2)


def test_an_error_among_the_words_ends_the_pull_with_its_sentence(engine: Engine):
    engine.words = ('{"error":"manifest unknown"}',)

    with pytest.raises(NotFound, match="Check its name and tag"):
        pull_follow(host_of(engine), IMAGE, Told(), None, 5.0)
