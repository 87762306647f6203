from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hosts.plane.power_effects  # noqa: F401  registers the verbs
from hosts.drivers.base import PowerReading
from hosts.errors import Rejected
from hosts.plane.context import PlaneContext, context_for_trial
from hosts.plane.effects import execute
from tests.hosts.plane.commands import NOW, command

SECRET = "/plane/v1/secrets/11111111-1111-4111-8111-111111111111/first"
BMC = {"url": "http://10.0.0.9", "system": "s1", "username": "admin", "secret": SECRET}


class ScriptedBmc:
    """A controller that reads a script of powers; after its end the last one stays."""

    def __init__(self, *powers: str) -> None:
        self.powers = list(powers)
        self.asked: list[str] = []

    def read_power(self) -> PowerReading:
        power = self.powers.pop(0) if len(self.powers) > 1 else self.powers[0]
        return PowerReading(power, "Model X", "S-1")  # type: ignore[arg-type]

    def power_on(self) -> None:
        self.asked.append("on")

    def power_off(self, *, force: bool) -> None:
        self.asked.append("force off" if force else "off")


class Secrets:
    """The control plane, with one secret."""

    def secret(self, path: str) -> str:
        if path != SECRET:
            raise Rejected("no such secret")
        return "swordfish"

    def image_fetch(self, *_: object, **__: object) -> None:
        raise AssertionError("no image is wanted here")


def run(tmp_path: Path, bmc: ScriptedBmc, effect: str, timeout_s: float = 5.0, **arguments: Any) -> Any:
    seen: list[tuple[str, ...]] = []

    def make(*access: str) -> ScriptedBmc:
        seen.append(access)
        return bmc

    context: PlaneContext = context_for_trial(
        "lab", directory=tmp_path, drivers={"bmc": make}, control=Secrets(), clock=lambda: NOW
    )
    sent = command(effect, arguments={"bmc": BMC, **arguments}, timeout_s=timeout_s)
    report = execute(context, sent)
    assert seen == [("http://10.0.0.9", "s1", "admin", "swordfish")]
    state_bytes = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"swordfish" not in state_bytes
    return report


def test_check_says_what_the_controller_is(tmp_path: Path) -> None:
    report = run(tmp_path, ScriptedBmc("on"), "power.check")

    assert report["output"] == {"power": "on", "model": "Model X", "serial": "S-1"}


def test_accepted_is_not_off(tmp_path: Path) -> None:
    # 204 and still on for a while; one stale "off" between counts for nothing. Faults F39.
    bmc = ScriptedBmc("on", "on", "off", "on", "off", "off")
    report = run(tmp_path, bmc, "power.off")

    assert report["output"] == {"power": "off"}
    assert bmc.powers == ["off"] and bmc.asked[0] == "off"


def test_a_machine_that_is_off_is_not_asked_again(tmp_path: Path) -> None:
    bmc = ScriptedBmc("off")

    assert run(tmp_path, bmc, "power.off", force=True)["output"] == {"power": "off"}
    assert bmc.asked == []


def test_force_cuts_the_power(tmp_path: Path) -> None:
    bmc = ScriptedBmc("on", "off", "off")
    run(tmp_path, bmc, "power.off", force=True)

    assert bmc.asked == ["force off"]


def test_power_that_never_goes_is_a_timeout_with_what_is_read(tmp_path: Path) -> None:
    report = run(tmp_path, ScriptedBmc("on"), "power.off", timeout_s=0.2)

    assert report["error"]["kind"] == "TimedOut"
    assert report["error"]["message"].endswith("the power still reads on, not off.")


def test_a_request_that_came_while_the_machine_went_down_is_made_again(tmp_path: Path) -> None:
    bmc = ScriptedBmc("turning off", *["off"] * 12, "on", "on")

    assert run(tmp_path, bmc, "power.on")["output"] == {"power": "on"}
    assert bmc.asked == ["on", "on"]


@pytest.mark.parametrize("power", ["on", "off", "unknown"])
def test_read_gives_the_power_as_it_is(tmp_path: Path, power: str) -> None:
    assert run(tmp_path, ScriptedBmc(power), "power.read")["output"] == {"power": power}
