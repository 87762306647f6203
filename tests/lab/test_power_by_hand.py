"""A host that somebody switches at its BMC, past the dashboard: shown as it is, and woken from the dashboard."""

from __future__ import annotations

from typing import Any

import httpx

from tests.lab.api_person import ApiPerson
from tests.lab.test_main_flow import eventually
from tests.stack import Stack

SEEN_WITHIN_S = 60.0  # two readings of the power, ten seconds apart, and a busy machine
WAKE_LIMIT_S = 120.0


def switch_by_hand(stack: Stack, host: str, reset_type: str) -> None:
    bmc = next(row["bmc"] for row in stack.lab["hosts"] if row["name"] == host)
    answer = httpx.post(
        f"{bmc['url']}/redfish/v1/Systems/{bmc['system']}/Actions/ComputerSystem.Reset",
        json={"ResetType": reset_type},
        auth=(bmc["username"], bmc["password"]),
        timeout=30,
    )
    assert answer.status_code == 204


def workloads_of(person: ApiPerson, host: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in person.get("/workloads")["items"] if row["host"] == host}


def test_a_host_switched_off_by_hand_is_shown_off_and_can_be_woken(stack: Stack, person: ApiPerson):
    host = min((row for row in person.get("/hosts") if row["power"] == "on"), key=lambda row: row["workload_count"])
    name = host["name"]
    ran = [row for row in workloads_of(person, name).values() if row["state"] == "running"]

    switch_by_hand(stack, name, "ForceOff")

    seconds = eventually(lambda: person.host(name)["power"] == "off", SEEN_WITHIN_S)
    print(f"\n{name} shown as off {seconds:.1f} s after it was switched off by hand")
    eventually(lambda: all(row["state"] == "stopped" for row in workloads_of(person, name).values()), SEEN_WITHIN_S)
    person.done("POST", f"/hosts/{host['uuid']}/power-on")
    assert person.host(name)["power"] == "on"
    for row in ran:
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)


def runs_again(person: ApiPerson, uuid: str) -> bool:
    """Whether it runs: the engine starts some by itself, the others are started here as soon as they may be."""
    if person.get(f"/workloads/{uuid}")["state"] == "running":
        return True
    person.call("POST", f"/workloads/{uuid}/start")
    return False
