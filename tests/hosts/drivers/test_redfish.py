"""The Redfish driver against a real third-party peer: sushy-tools' emulator with basic authentication."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import werkzeug.serving
from sushy_tools.emulator import main as emulator
from sushy_tools.emulator.resources.systems import fakedriver

from hosts.drivers.redfish import RedfishBmc
from hosts.errors import Invalid, NotFound, Refused, Rejected, TimedOut, Unreachable

SYSTEM = str(uuid.UUID(int=9))


class PromptSystems(fakedriver.FakeDriver):
    """The emulator's fake driver without its random delay of seconds."""

    def set_power_state(self, identity: str, state: str) -> None:
        system = self._get(identity)
        system["power_state"] = "On" if state == "On" else "Off"
        self._update(system)


@pytest.fixture(scope="module")
def bmc_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("bmc")
    (folder / "htpasswd").write_text(f"admin:{bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n")
    config = {
        "SUSHY_EMULATOR_AUTH_FILE": str(folder / "htpasswd"),
        "SUSHY_EMULATOR_FAKE_DRIVER": True,
        "SUSHY_EMULATOR_STATE_DIR": str(folder),
        "SUSHY_EMULATOR_FAKE_SYSTEMS": [
            {"uuid": SYSTEM, "name": "node-1", "power_state": "Off", "nics": [{"mac": "02:00:00:00:00:01"}]}
        ],
    }
    real, fakedriver.FakeDriver = fakedriver.FakeDriver, PromptSystems
    emulator.app.configure(extra_config=config)
    server = werkzeug.serving.make_server("127.0.0.1", 0, emulator.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    fakedriver.FakeDriver = real


def test_power_goes_on_and_off_and_asking_twice_changes_nothing(bmc_url: str) -> None:
    bmc = RedfishBmc(bmc_url, SYSTEM, "admin", "right")
    assert bmc.read_power().power == "off"

    for _ in range(2):
        bmc.power_on()
        assert bmc.read_power().power == "on"
    for force in (False, True):
        bmc.power_off(force=force)
        assert bmc.read_power().power == "off"


def test_a_single_system_need_not_be_named(bmc_url: str) -> None:
    assert RedfishBmc(bmc_url, "", "admin", "right").read_power().power in ("on", "off")


@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("stranger", "right")])
def test_wrong_credentials_are_rejected_with_what_to_do(bmc_url: str, user: str, password: str) -> None:
    with pytest.raises(Rejected, match="does not accept the user or the password") as caught:
        RedfishBmc(bmc_url, SYSTEM, user, password).read_power()

    assert password not in caught.value.message + caught.value.detail


def test_an_unknown_system_is_not_found(bmc_url: str) -> None:
    with pytest.raises(NotFound, match="knows no such system"):
        RedfishBmc(bmc_url, str(uuid.uuid4()), "admin", "right").read_power()


def test_a_bmc_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="cannot be reached"):
            RedfishBmc(f"http://127.0.0.1:{unused.getsockname()[1]}", SYSTEM, "a", "b").read_power()


def test_a_bmc_that_never_answers_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosts.drivers.redfish.READ_TIMEOUT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with pytest.raises((TimedOut, Unreachable)):
            RedfishBmc(f"http://127.0.0.1:{silent.getsockname()[1]}", SYSTEM, "a", "b").read_power()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://10.0.0.1", "10.0.0.1", "http://", "http://user:x@10.0.0.1", "http://h/?a=b"]
)
def test_an_address_that_is_no_plain_http_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        RedfishBmc(url, "", "a", "b")


def test_an_unnamed_system_among_several_is_refused(bmc_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PromptSystems, "systems", [SYSTEM, str(uuid.UUID(int=10))])

    with pytest.raises(Refused, match="manages 2 systems"):
        RedfishBmc(bmc_url, "", "admin", "right").read_power()


def test_a_chassis_of_the_emulator_tells_degrees_and_has_no_meter(bmc_url: str) -> None:
    measured = RedfishBmc(bmc_url, SYSTEM, "admin", "right").read_sensors()

    assert measured.power_watts is None
    assert measured.temperatures_celsius == {"CPU Temp": 41.0, "Chassis Intake Temp": 25.0}
