from __future__ import annotations

import threading
from typing import Any

import pytest

from hosts.drivers.base import Controller, PowerReading
from hosts.errors import Unreachable
from hosts.plane.power_watch import PowerWatch

HOSTS = ("alpha", "beta")


class Machine:
    """A controller that reads what it was told to, fails, or hangs until it is let go."""

    def __init__(self, power: str = "on") -> None:
        self.power = power
        self.is_away = False
        self.let_go: threading.Event | None = None
        self.reads = 0

    def read_power(self) -> PowerReading:
        self.reads += 1
        if self.let_go is not None:
            self.let_go.wait(10)
        if self.is_away:
            raise Unreachable("The BMC cannot be reached.")
        return PowerReading(self.power, None, None)  # type: ignore[arg-type]


class Bench:
    def __init__(self) -> None:
        self.machines = {name: Machine() for name in HOSTS}
        self.told: list[dict[str, Any]] = []
        self.now = 1000.0
        self.asked = 0
        self.control_is_away = False
        self.watch = PowerWatch("lab", self.controllers, self.open, self.told.append, lambda: self.now)

    def controllers(self) -> list[Controller]:
        self.asked += 1
        if self.control_is_away:
            raise Unreachable("The control plane cannot be reached.")
        return [Controller(name, f"https://{name}", "", "admin", "secret-word") for name in HOSTS]

    def open(self, url: str, system: str, username: str, password: str) -> Any:
        assert (username, password) == ("admin", "secret-word")
        return self.machines[url.removeprefix("https://")]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_every_machine_of_the_site_is_read_and_told_with_the_time_of_the_question(bench: Bench):
    bench.machines["beta"].power = "off"

    bench.watch.round()

    assert bench.told == [{"site": "lab", "at": 1000.0, "readings": {"alpha": "on", "beta": "off"}}]


def test_a_controller_that_is_away_is_left_out_and_costs_the_others_nothing(bench: Bench):
    bench.machines["alpha"].is_away = True

    assert bench.watch.round() == {"beta": "on"}


def test_a_controller_that_hangs_is_not_asked_again_until_it_has_answered(bench: Bench):
    slow = bench.machines["alpha"]
    slow.let_go = threading.Event()

    assert bench.watch.round(0.05) == {"beta": "on"}
    assert bench.watch.round(0.05) == {"beta": "on"}
    assert slow.reads == 1

    slow.let_go.set()
    bench.watch._hanging["alpha"].result(5)
    assert bench.watch.round() == {"alpha": "on", "beta": "on"}


def test_the_controllers_are_asked_for_once_a_minute_and_kept_while_the_control_plane_is_away(bench: Bench):
    bench.watch.round()
    bench.watch.round()
    assert bench.asked == 1

    bench.now += 61
    bench.control_is_away = True
    assert bench.watch.round() == {"alpha": "on", "beta": "on"}
    assert bench.asked == 2


def test_no_log_can_show_the_password():
    assert "secret-word" not in repr(Controller("alpha", "https://alpha", "", "admin", "secret-word"))
