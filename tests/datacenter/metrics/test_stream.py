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
from datacenter.metrics.live import (
    connect,
    latest_prune,
    latest_read,
    latest_tell,
    latest_write,
    watched_note,
    watched_read,
)
from datacenter.metrics.storing import Storing
from datacenter.metrics.stream import Reading, collect
from hosts.errors import Unreachable
from hosts.plane.watched import KEY as WATCHED_KEY
from hosts.plane.watched import Watched, note_read

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
        self.lines: list[str] = []
        self.late_buckets: set[float] = set()
        self.after = after

    def handle_all(self, messages: list[tuple[str, dict[bytes, bytes]]]) -> None:
        told = [json.loads(fields[b"data"]) for _, fields in messages]
        self.heard += told
        self.lines += [f"value {value}\n" for value in told]
        self.after(self)

    def lines_take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    def flush(self) -> None: ...

    def look_for_silence(self) -> None: ...


def say(server: RedisServer, stream: str, *values: int) -> None:
    for value in values:
        server.client.xadd(stream, {"data": json.dumps(value)})


class StoreOfLines:
    """A store that keeps what was written, or is away."""

    def __init__(self, is_away: bool = False) -> None:
        self.is_away = is_away
        self.lines: list[str] = []

    def write(self, body: bytes) -> None:
        if self.is_away:
            raise Unreachable("The metrics store does not answer.")
        self.lines += body.decode().splitlines()


def listen(
    server: RedisServer,
    most: int,
    after: Callable[[Listener], None] = lambda _: None,
    *,
    store: StoreOfLines | None = None,
    reading: Reading | None = None,
) -> list[Any]:
    """Collects until so many messages were heard; each round's samples are then written to the store."""
    storing = Storing((store or StoreOfLines()).write)
    listener = Listener(after)
    until = time.monotonic() + 10

    def is_over() -> bool:
        storing.flush()
        if len(listener.heard) >= most or time.monotonic() > until:
            module._keep(server.client, storing, Reading({stream: "0-0" for stream in module.STREAMS}))
            return True
        return False

    collect(server.client, listener, storing, is_over, reading)
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


def test_what_the_store_did_not_take_is_read_again_after_a_restart(server: RedisServer):
    store = StoreOfLines(is_away=True)
    say(server, SAMPLES, 1, 2)
    assert listen(server, 2, store=store) == [1, 2]

    store.is_away = False
    say(server, SAMPLES, 3)

    assert listen(server, 3, store=store) == [1, 2, 3]
    assert store.lines == ["value 1", "value 2", "value 3"]


def test_what_is_stored_is_forgotten_by_the_stream(server: RedisServer):
    say(server, SAMPLES, *range(1000))
    listen(server, 1000)
    say(server, SAMPLES, 1000, 1001)

    assert listen(server, 2) == [1000, 1001]
    assert server.client.xlen(SAMPLES) < 200  # Redis lets go of whole nodes of some hundred entries only


def test_samples_that_a_full_stream_dropped_unread_are_counted(server: RedisServer):
    say(server, SAMPLES, 1, 2, 3)
    listen(server, 3)
    say(server, SAMPLES, *range(4, 14))
    server.client.xtrim(SAMPLES, maxlen=4, approximate=False)
    reading = Reading()

    assert listen(server, 4, reading=reading) == [10, 11, 12, 13]
    assert (reading.lost, reading.handled) == (6, 4)

    say(server, SAMPLES, 14)
    again = Reading()
    assert listen(server, 1, reading=again) == [14]
    assert again.lost == 0


def test_a_wiped_redis_has_lost_nothing_that_can_be_counted(server: RedisServer):
    say(server, SAMPLES, *range(10))
    listen(server, 10)
    server.client.delete(SAMPLES)
    say(server, SAMPLES, 1)
    reading = Reading()

    assert listen(server, 1, reading=reading) == [1]
    assert reading.lost == 0


def test_late_buckets_are_noted_until_somebody_makes_them_again(server: RedisServer):
    say(server, SAMPLES, 1)

    listen(server, 1, lambda listener: listener.late_buckets.add(1500.0))

    assert server.client.zrange(module.LATE_KEY, 0, -1) == [b"1500.0"]


def test_only_what_is_watched_is_told_and_everything_is_kept(server: RedisServer):
    subscriptions = server.client.pubsub()
    subscriptions.subscribe("stowage.live.host:a")
    assert subscriptions.get_message(timeout=5)["type"] == "subscribe"

    watched = watched_read(server.client)
    latest_tell({"host:a": b'{"at":1}', "host:b": b'{"at":2}'}, watched, server.client)

    assert watched == {"host:a"}
    assert subscriptions.get_message(timeout=5)["data"] == b'{"at":1}'
    assert latest_read(["host:a", "host:b"], now=2, client=server.client) == {"host:a": {"at": 1}, "host:b": {"at": 2}}


def test_the_note_for_a_hosts_plane_says_what_is_watched_and_runs_out(server: RedisServer):
    watched_note({"alpha": (True, set()), "beta": (False, {"w-2", "w-1"})}, server.client)

    assert note_read(server.client.get(WATCHED_KEY + "alpha")) == Watched(True)
    assert note_read(server.client.get(WATCHED_KEY + "beta")) == Watched(False, frozenset({"w-1", "w-2"}))
    assert 0 < server.client.ttl(WATCHED_KEY + "alpha") <= 4
    assert not note_read(server.client.get(WATCHED_KEY + "gamma"))


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
