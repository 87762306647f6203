from __future__ import annotations

import threading
from concurrent.futures import wait
from typing import Any

import pytest

from hosts.drivers.base import Controller, PowerReading, SensorReading
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
        self.sensors = SensorReading()

    def read_sensors(self) -> SensorReading:
        if self.is_away:
            raise Unreachable("The BMC cannot be reached.")
        return self.sensors

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
        self.measured: list[dict[str, Any]] = []
        self.watch = PowerWatch(
            "lab", self.controllers, self.open, self.told.append, lambda: self.now, self.measured.append
        )

    def sense(self) -> None:
        """A round, and another that takes what the first one asked for."""
        self.watch.round()
        self.watch.sense()
        wait(self.watch._sensing.values(), 10)
        self.watch.sense()

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


def test_watts_and_degrees_are_told_where_a_controller_has_them(bench: Bench):
    bench.machines["alpha"].sensors = SensorReading(210.0, {"Inlet": 22.5})
    bench.machines["beta"].is_away = True

    bench.sense()

    assert bench.measured == [
        {
            "site": "lab",
            "at": 1000.0,
            "readings": {},
            "sensors": {"alpha": {"power_watts": 210.0, "temperature_celsius": {"Inlet": 22.5}}},
        }
    ]


def test_sensors_are_read_less_often_than_power_and_missing_ones_hardly_at_all(bench: Bench):
    bench.machines["alpha"].sensors = SensorReading(210.0)
    for _ in range(7):
        bench.sense()
        bench.now += 10
    assert len(bench.measured) == 3

    bench.machines["beta"].sensors = SensorReading(90.0)
    bench.sense()
    assert "beta" not in bench.measured[-1]["sensors"]
    bench.now += 600
    bench.sense()
    assert bench.measured[-1]["sensors"].keys() == {"alpha", "beta"}
