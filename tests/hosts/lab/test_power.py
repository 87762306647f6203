"""hosts.lab.power: what a BMC's wish does to a host, and who may wish."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from hosts.lab import power


class Host:
    """A lab host that only notes what it was told."""

    def __init__(self) -> None:
        self.plan = SimpleNamespace(name="lab-a1")
        self.power_state = "On"
        self.stays_dark = False
        self.told: list[str] = []

    def boot(self) -> None:
        self.told.append("boot")

    def unplug(self) -> None:
        self.told.append("unplug")

    def shut_down(self) -> None:
        self.told.append("shut down")

    def switched_off(self) -> None:
        self.told.append("stay off")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def switches(host: Host) -> Iterator[power.PowerSwitches]:
    endpoint = power.PowerSwitches({"lab-a1": host}, "secret", lambda text: None)  # type: ignore[dict-item]
    endpoint.start()
    yield endpoint
    endpoint.stop()


@pytest.mark.parametrize(
    ("reset_type", "told"),
    [
        ("On", ["boot"]),
        ("ForceOff", ["unplug", "stay off"]),
        ("GracefulShutdown", ["shut down", "stay off"]),
        ("GracefulRestart", ["shut down", "boot"]),
        ("ForceRestart", ["unplug", "boot"]),
        ("PushPowerButton", ["shut down", "stay off"]),
    ],
)
def test_each_reset_does_what_redfish_says(host: Any, reset_type: str, told: list[str]) -> None:
    power.reset(host, reset_type)

    assert host.told == told


def test_a_wish_is_accepted_and_then_done(switches: power.PowerSwitches, host: Host) -> None:
    answer = httpx.post(f"{switches.url}/hosts/lab-a1/reset", json={"reset_type": "ForceOff"})

    switches.stop()
    assert answer.status_code == 204
    assert host.told == ["unplug", "stay off"]


def test_power_is_told(switches: power.PowerSwitches) -> None:
    assert httpx.get(f"{switches.url}/hosts/lab-a1/power").json() == {"power_state": "On"}


def test_nobody_without_the_secret_may_wish(switches: power.PowerSwitches, host: Host) -> None:
    wrong = switches.url.replace("/secret", "/guess")

    assert httpx.get(f"{wrong}/hosts/lab-a1/power").status_code == 404
    assert httpx.post(f"{wrong}/hosts/lab-a1/reset", json={"reset_type": "ForceOff"}).status_code == 404
    assert httpx.get(f"{switches.url}/hosts/lab-z9/power").status_code == 404
    assert host.told == []


def test_an_unknown_reset_is_refused(switches: power.PowerSwitches, host: Host) -> None:
    answer = httpx.post(f"{switches.url}/hosts/lab-a1/reset", json={"reset_type": "Nmi"})

    assert answer.status_code == 400
    assert host.told == []


def test_a_host_that_stays_dark_is_switched_off_and_on_nothing():
    host = Host()
    host.stays_dark = True

    for reset_type in ("ForceOff", "On", "ForceRestart"):
        power.reset(host, reset_type)

    assert "boot" not in host.told
