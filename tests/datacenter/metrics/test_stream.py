"""The collector against a real Redis: goes on where it stopped, outlives restarts."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from datacenter.metrics import stream as module
from datacenter.metrics.collector import OBSERVED, SAMPLES
from datacenter.metrics.live import connect, latest_prune, latest_read, latest_write
from datacenter.metrics.stream import collect

pytestmark = pytest.mark.django_db
PROGRAM = shutil.which("redis-server")


class RedisServer:
    """A Redis of its own on a free port, without data on disk."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.directory = directory
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.directory)]
        assert PROGRAM is not None
        self.process = subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port, socket_timeout=5)
        until = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < until
                time.sleep(0.02)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    server = RedisServer(tmp_path)
    yield server
    server.stop()


class Listener:
    """Stands for the collector: keeps what it is given."""

    def __init__(self, after: Callable[[Listener], None] = lambda _: None) -> None:
        self.heard: list[Any] = []
        self.after = after

    def handle_all(self, messages: list[tuple[str, dict[bytes, bytes]]]) -> None:
        self.heard += [json.loads(fields[b"data"]) for _, fields in messages]
        self.after(self)

    def flush(self) -> None: ...

    def look_for_silence(self) -> None: ...


def say(server: RedisServer, stream: str, *values: int) -> None:
    for value in values:
        server.client.xadd(stream, {"data": json.dumps(value)})


def listen(server: RedisServer, most: int, after: Callable[[Listener], None] = lambda _: None) -> list[Any]:
    listener = Listener(after)
    until = time.monotonic() + 10
    collect(server.client, listener, lambda: len(listener.heard) >= most or time.monotonic() > until)
    return listener.heard


def test_a_restarted_collector_goes_on_behind_the_last_message(server: RedisServer):
    say(server, SAMPLES, 1, 2)
    say(server, OBSERVED, 3)
    assert sorted(listen(server, 3)) == [1, 2, 3]

    say(server, SAMPLES, 4)

    assert listen(server, 1) == [4]


def test_it_outlives_a_redis_that_loses_everything(server: RedisServer, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.05)
    say(server, SAMPLES, 1)

    def lose_all(listener: Listener) -> None:
        if listener.heard == [1]:
            server.stop()
            server.start()
            say(server, SAMPLES, 2)

    assert listen(server, 2, lose_all)[-1] == 2


def test_a_wiped_redis_is_read_from_its_beginning(server: RedisServer):
    server.client.hset(module.POSITION_KEY, SAMPLES, "99999999999999-0")
    say(server, SAMPLES, 1)

    assert listen(server, 1) == [1]


def test_newest_values_are_read_in_one_call_and_stale_ones_left_out(server: RedisServer):
    latest_write({"host:a": {"at": 1000.0, "load_1m": 1.0}, "host:b": {"at": 900.0}}, server.client)

    found = latest_read(["host:a", "host:b", "host:c"], now=1010.0, client=server.client)

    assert found == {"host:a": {"at": 1000.0, "load_1m": 1.0}}
    assert latest_prune(server.client, now=4550.0) == 1


def test_a_redis_that_is_away_gives_no_values_and_no_error(server: RedisServer):
    server.stop()
    client = connect(f"redis://127.0.0.1:{server.port}")
    began = time.monotonic()

    assert latest_read(["host:a"], client=client) == {}
    assert time.monotonic() - began < 1.0
