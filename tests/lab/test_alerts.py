"""A lab host that cannot be reached: told to a webhook within a minute, told again when it is back, and not told at all
while it is in maintenance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.datacenter.alerts.receivers import WebReceiver, web_receiver
from tests.lab.api_person import ApiPerson
from tests.lab.cables import MANAGEMENT, cable_pulled
from tests.stack import Stack

LIMIT_S = 180.0  # a busy machine; what it took is printed


@pytest.fixture(scope="module")
def receiver(stack: Stack) -> Iterator[WebReceiver]:
    """Listens on this machine's address in the lab: a private one, as a chat server inside would have."""
    environment = dict(line.split("=", 1) for line in (stack.data_dir / "env").read_text().splitlines() if "=" in line)
    with web_receiver(urlsplit(environment["PLANE_URL"]).hostname or "") as listening:
        yield listening


@pytest.fixture(scope="module")
def told(person: ApiPerson, receiver: WebReceiver) -> Iterator[Callable[[str], list[str]]]:
    """A function that gives the hosts of which the webhook was told an event."""
    url = f"http://{receiver.host}/hook"
    status, channel = person.call("POST", "/channels", {"name": "hook", "kind": "webhook", "address": {"url": url}})
    assert status == 201, channel
    rule = next(row for row in person.get("/alert-rules") if row["event"] == "host_lost")
    status, answer = person.call("PATCH", f"/alert-rules/{rule['uuid']}", {"channels": [channel["uuid"]]})
    assert status == 200, answer

    def told_of(event: str) -> list[str]:
        messages = [got.body for got in list(receiver.got) if got.body["event"] == event]
        return [alert["thing_name"] for message in messages for alert in message["alerts"]]

    yield told_of
    person.call("DELETE", f"/channels/{channel['uuid']}")


def until(is_so: Callable[[], Any]) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < LIMIT_S, f"not so within {LIMIT_S:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def alerts_of(person: ApiPerson, host: str, state: str) -> list[dict[str, Any]]:
    return [row for row in person.get(f"/alerts?state={state}&text={host}")["items"] if row["thing_kind"] == "host"]


def test_a_test_of_a_channel_arrives(person: ApiPerson, receiver: WebReceiver, told: Callable[[str], list[str]]):
    channel = next(row for row in person.get("/channels") if row["name"] == "hook")

    assert person.call("POST", f"/channels/{channel['uuid']}/test")[0] == 202

    until(lambda: any(got.body["event"] == "test" for got in receiver.got))
    until(lambda: person.get("/channels")[0]["health"] == "working")


def test_an_unplugged_host_is_told_and_so_is_its_return(
    stack: Stack, person: ApiPerson, told: Callable[[str], list[str]]
):
    name = person.lab_hosts_on()[-1]["name"]

    with cable_pulled(stack, name, MANAGEMENT):
        seconds = until(lambda: name in told("fired"))
        print(f"\nthe loss of {name} was told {seconds:.0f} s after its cable was pulled")
        (alert,) = alerts_of(person, name, "firing")
        assert alert["rule_name"] == "Host lost"

    seconds = until(lambda: name in told("resolved"))
    print(f"its return was told {seconds:.0f} s after it was plugged in")
    assert alerts_of(person, name, "firing") == []
    assert told("fired").count(name) == told("resolved").count(name) == 1


def test_a_host_in_maintenance_is_recorded_in_silence(
    stack: Stack, person: ApiPerson, told: Callable[[str], list[str]]
):
    host = person.lab_hosts_on()[-1]
    name = host["name"]
    before = told("fired").count(name)
    person.done("POST", f"/hosts/{host['uuid']}/maintenance?on=true")
    try:
        with cable_pulled(stack, name, MANAGEMENT):
            until(lambda: alerts_of(person, name, "silenced"))
            assert "maintenance" in alerts_of(person, name, "silenced")[0]["silenced_by"]
        until(lambda: not alerts_of(person, name, "open"))
    finally:
        person.done("POST", f"/hosts/{host['uuid']}/maintenance?on=false")

    assert told("fired").count(name) == before
    assert told("resolved").count(name) == before
