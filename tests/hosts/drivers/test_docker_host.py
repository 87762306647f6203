"""Reading what the engine says. The engine itself is in tests/lab."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests.exceptions

from hosts.drivers.base import container_uuid
from hosts.drivers.docker_errors import foreign_error
from hosts.drivers.docker_host import DETAILS_FRESH_S, DockerHost, KnownDetails, container_state, observed
from hosts.errors import DriverError, Refused, Rejected, TimedOut, Unreachable, Vanished


def detail(**changes: Any) -> dict[str, Any]:
    base = {
        "Id": "ab" * 32,
        "Name": "/web-1",
        "State": {"Status": "running"},
        "Config": {
            "Image": "nginx:1",
            "Labels": {"stowage.pinned": "true", "com.example.team": "shop"},
            "Cmd": ["nginx"],
            "Env": ["PATH=/bin", "SECRET=x=y"],
        },
        "HostConfig": {
            "NanoCpus": 1_500_000_000,
            "Memory": 64 << 20,
            "RestartPolicy": {"Name": "always"},
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": [{"HostPort": ""}]},
        },
    }
    return base | changes


def test_a_container_is_observed_without_the_values_of_its_environment() -> None:
    seen = observed(detail())

    assert (seen.name, seen.state, seen.vcpus, seen.memory_mib) == ("web-1", "running", 1.5, 64)
    assert seen.environment_keys == ("PATH", "SECRET")
    assert "x=y" not in str(seen)
    assert seen.ports == (
        {"host": None, "container": 53, "protocol": "udp"},
        {"host": 8080, "container": 80, "protocol": "tcp"},
    )
    assert seen.labels == {"pinned": "true", "com.example.team": "shop"}
    assert (seen.restart_policy, seen.autostart, seen.managed) == ("always", True, False)


def test_a_container_of_others_has_a_uuid_that_everybody_derives_alike() -> None:
    assert observed(detail()).uuid == container_uuid("ab" * 32, {}) == str(uuid.UUID(observed(detail()).uuid))


def test_a_label_that_is_no_uuid_is_not_taken_for_one() -> None:
    assert container_uuid("ab" * 32, {"stowage.uuid": "../../x"}) == container_uuid("ab" * 32, {})


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "running"}, ("running", "running")),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, ("running", "running (health: unhealthy)")),
        ({"Status": "exited", "ExitCode": 0}, ("stopped", "exited (0)")),
        ({"Status": "exited", "ExitCode": 143}, ("stopped", "exited (143)")),
        ({"Status": "exited", "ExitCode": 1}, ("crashed", "exited (1)")),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, ("crashed", "exited (out of memory)")),
        ({"Status": "created"}, ("stopped", "created")),
        ({"Status": "restarting"}, ("starting", "restarting")),
        ({"Status": "paused"}, ("paused", "paused")),
        ({"Status": "dead"}, ("crashed", "dead")),
        ({}, ("unknown", "unknown")),
    ],
)
def test_a_state_is_told_with_its_reason(state: dict[str, Any], expected: tuple[str, str]) -> None:
    assert container_state(state) == expected


def test_an_engine_that_is_not_there_is_unreachable_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="Is dockerd running"):
        DockerHost(f"unix://{tmp_path}/nobody.sock").list_containers()


@pytest.fixture
def frozen_engine(tmp_path: Path) -> Iterator[str]:
    """A socket whose owner accepts and then says nothing."""
    path = str(tmp_path / "frozen.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(8)
        kept: list[socket.socket] = []

        def accept() -> None:
            try:
                while True:
                    kept.append(listener.accept()[0])
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"unix://{path}"
        for connection in kept:
            connection.close()


def test_a_frozen_engine_costs_no_more_than_the_timeout(frozen_engine: str) -> None:
    with pytest.raises((TimedOut, Unreachable)):
        DockerHost(frozen_engine, timeout_s=0.2).list_containers()


def test_errors_are_told_apart_by_status() -> None:
    cases = {404: Vanished, 409: Refused, 403: Rejected, 400: Rejected, 500: DriverError}
    for status, kind in cases.items():
        response = requests.Response()
        response.status_code = status
        assert type(foreign_error(requests.exceptions.HTTPError(response=response), "do it")) is kind
    assert type(foreign_error(requests.exceptions.ReadTimeout(), "do it")) is TimedOut
    assert type(foreign_error(requests.exceptions.ConnectionError(), "do it")) is Unreachable


class Engine:
    """What `KnownDetails` asks; each answer has a number."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.known = KnownDetails(lambda: self.now)

    def get(self, **row: Any) -> Any:
        return self.known.get({"Id": "ab", "State": "running"} | row, self.answer)

    def answer(self, engine_id: str) -> dict[str, Any]:
        self.asked += 1
        return {"Id": engine_id, "number": self.asked}


def test_details_are_asked_for_each_time_while_no_events_are_heard() -> None:
    engine = Engine()

    assert [engine.get()["number"], engine.get()["number"]] == [1, 2]


def test_details_are_kept_until_an_event_the_list_or_a_minute_says_otherwise() -> None:
    engine = Engine()
    engine.known.begin()
    assert [engine.get()["number"] for _ in range(3)] == [1, 1, 1]

    engine.known.changed("ab")
    assert [engine.get()["number"] for _ in range(2)] == [2, 2]
    assert engine.get(State="paused")["number"] == 3
    engine.now += DETAILS_FRESH_S
    assert engine.get(State="paused")["number"] == 4


def test_an_event_that_comes_while_the_details_are_read_makes_them_old() -> None:
    engine = Engine()
    engine.known.begin()

    def answer(engine_id: str) -> dict[str, Any]:
        engine.known.changed(engine_id)
        return engine.answer(engine_id)

    engine.known.get({"Id": "ab", "State": "running"}, answer)

    assert engine.get()["number"] == 2


def test_details_from_before_the_events_were_lost_are_not_taken() -> None:
    engine = Engine()
    engine.known.begin()
    engine.get()
    engine.known.is_watched = False
    engine.get()

    engine.known.begin()

    assert engine.get()["number"] == 3
