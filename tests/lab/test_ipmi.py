"""A lab host behind IPMI: OpenIPMI's simulator stands for its controller and switches it as the real one would."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hosts.drivers.ipmi import IpmiBmc
from hosts.errors import Rejected, Unreachable
from tests.ipmi_simulator import PASSWORD, USERNAME, ipmi_simulated
from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually
from tests.lab.test_power_by_hand import WAKE_LIMIT_S, runs_again, workloads_of
from tests.proxies import free_port
from tests.stack import Stack


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "power").write_text("off")
    with ipmi_simulated(tmp_path, free_port(), {"file": str(tmp_path / "power")}) as url:
        yield url


def test_power_goes_on_and_off_and_asking_twice_changes_nothing(controller: str):
    bmc = IpmiBmc(controller, USERNAME, PASSWORD)
    assert bmc.read_power().power == "off"

    for ask, power in ((bmc.power_on, "on"), (lambda: bmc.power_off(force=True), "off")):
        for _ in range(2):
            ask()
            assert bmc.read_power().power == power
    bmc.power_on()
    bmc.power_off(force=False)
    assert bmc.read_power().power == "off"
    assert not bmc.read_sensors()


def test_eight_threads_at_once_all_learn_the_power(controller: str):
    def read(_: int) -> str:
        return IpmiBmc(controller, USERNAME, PASSWORD).read_power().power

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(40))) == {"off"}


def test_a_wrong_password_and_nobody_there_are_told_apart(controller: str):
    with pytest.raises(Rejected, match="user or the password"):
        IpmiBmc(controller, USERNAME, "wrong").read_power()
    with pytest.raises(Rejected, match="user or the password"):
        IpmiBmc(controller, "nobody", PASSWORD).read_power()
    with pytest.raises(Unreachable, match="cannot be reached"):
        IpmiBmc(f"ipmi://127.0.0.1:{free_port()}?cipher=3", USERNAME, PASSWORD).read_power()


def test_a_host_behind_ipmi_is_switched_off_and_woken(stack: Stack, person: ApiPerson, tmp_path: Path):
    host = min(person.lab_hosts_on(), key=lambda row: row["workload_count"])
    ran = [row for row in workloads_of(person, host["name"]).values() if row["state"] == "running"]
    redfish = next(row["bmc"] for row in stack.lab["hosts"] if row["name"] == host["name"])
    at = f"/hosts/{host['uuid']}"
    settings: dict[str, Any] = {"redfish": redfish["url"]}
    settings |= {name: redfish[name] for name in ("system", "username", "password")}
    with ipmi_simulated(tmp_path, free_port(), settings) as url:
        status, operation = person.call("PUT", f"{at}/bmc", {"url": url, "username": USERNAME, "password": "wrong"})
        assert status == 202
        ended = person.ended(operation["uuid"])
        assert ended["state"] == "failed" and "does not accept the user or the password" in ended["message"]
        try:
            person.done("PUT", f"{at}/bmc", {"url": url, "username": USERNAME, "password": PASSWORD})
            for row in ran:
                person.call("POST", f"/workloads/{row['uuid']}/stop?force=true")
            eventually(
                lambda: all(one["state"] != "running" for one in workloads_of(person, host["name"]).values()), 60
            )

            off = person.done("POST", f"{at}/power-off")
            assert person.host(host["name"])["power"] == "off"
            on = person.done("POST", f"{at}/power-on")

            print(f"\n{host['name']} by IPMI: off in {off['seconds']:.1f} s, on in {on['seconds']:.1f} s")
        finally:
            back = {"url": redfish["url"], "system": redfish["system"]}
            person.done("PUT", f"{at}/bmc", back | {name: redfish[name] for name in ("username", "password")})
    for row in ran:
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)
