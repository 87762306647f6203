"""The autopilot in the lab: by itself it moves a VM away, switches the freed host off, and says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually, forget
from tests.lab.test_power_by_hand import WAKE_LIMIT_S, runs_again, workloads_of
from tests.stack import Stack

LIMIT_S = 180.0
PROOFS = (
    "from datacenter.models import Policy; from hosts.models import Site; "
    "[Policy.objects.update_or_create(site=s, defaults={'require_wake_proof': '%s'}) for s in Site.objects.all()]"
)
OFF = {"packing": "off", "relief": "off"}


@pytest.fixture
def site(stack: Stack, person: ApiPerson) -> Iterator[int]:
    """The lab's site, whose autopilot is off afterwards; hosts that it freed are on again."""
    found = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    stack.manage("shell", "-c", PROOFS % "never")  # none of the lab's hosts has been woken yet, perhaps
    before = {row["uuid"]: row for row in person.lab_hosts_on()}
    ran = {name: [r for r in workloads_of(person, name).values() if r["state"] == "running"] for name in names(before)}
    yield found
    stack.manage("shell", "-c", PROOFS % "automatic")
    assert person.call("PUT", f"/autopilot/{found}", OFF)[0] == 200
    eventually(lambda: not any(row["state"] == "running" for row in person.get("/plans")), LIMIT_S)
    for uuid, row in before.items():
        if person.host(row["name"])["power"] != "on":
            person.done("POST", f"/hosts/{uuid}/power-on")
    for row in (one for rows in ran.values() for one in rows):
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)


def names(hosts: dict[str, dict[str, Any]]) -> list[str]:
    return [row["name"] for row in hosts.values()]


def test_a_host_is_freed_by_itself_and_the_reason_can_be_read(stack: Stack, person: ApiPerson, tiny: str, site: int):
    host = min(person.lab_hosts_on(), key=lambda row: row["workload_count"])
    wish = {"name": "auto-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "host": host["uuid"]}
    person.done("POST", "/workloads/vms", wish)
    made = person.workload("auto-vm")
    assert made is not None
    try:
        status, answer = person.call("PUT", f"/autopilot/{site}", {"windows": "dense sometimes"})
        assert status == 422 and "is no window" in answer["message"]
        wish = {"packing": "automatic", "cool_down_minutes": 0, "pays_back_hours": 8760}
        assert person.call("PUT", f"/autopilot/{site}", wish)[0] == 200

        began = eventually(lambda: decided(person, site, "began") is not None, LIMIT_S)
        decision = decided(person, site, "began")
        assert decision is not None and "can be switched off" in decision["sentence"]
        at = f"/plans/{decision['plan']}"
        seconds = eventually(lambda: person.get(at)["plan"]["finished_at"] is not None, LIMIT_S)

        plan = person.get(at)["plan"]
        print(f"\nbegun after {began:.1f} s, done after {seconds:.1f} s more: {decision['sentence']}")
        assert (plan["state"], plan["requested_by_name"]) == ("done", "autopilot")
        off = [row for row in person.get("/hosts") if row["power"] == "off"]
        assert len(off) >= plan["hosts_on_before"] - plan["hosts_on_after"] >= 1
        on = [row["name"] for row in person.lab_hosts_on()]
        assert sum("auto-vm" in stack.inside(name, "virsh", "list", "--name") for name in on) == 1

        assert person.call("POST", "/autopilot/stop") == (200, {"sites": ["lab"]})
        assert next(row for row in person.get("/autopilot") if row["site"] == site)["packing"] == "off"
        a_host_is_woken_for_a_request(stack, person, tiny, off[0])
    finally:
        forget(person, made["uuid"])


def a_host_is_woken_for_a_request(stack: Stack, person: ApiPerson, tiny: str, host: dict[str, Any]) -> None:
    """A VM that is wanted on a freed host waits until that is awake."""
    wish = {"name": "waking-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "host": host["uuid"]}
    status, answer = person.call("POST", "/workloads/vms", wish)
    assert status == 409 and "is powered off" in answer["message"]

    seconds = person.done("POST", "/workloads/vms", wish | {"may_wake": True})["seconds"]

    print(f"{host['name']} was woken for a VM, which ran {seconds:.1f} s after it was asked for")
    made = person.workload("waking-vm")
    assert made is not None
    assert "waking-vm" in stack.inside(host["name"], "virsh", "list", "--name")
    forget(person, made["uuid"])


def decided(person: ApiPerson, site: int, outcome: str) -> dict[str, Any] | None:
    rows = person.get(f"/autopilot/{site}/decisions")
    return next((row for row in rows if row["outcome"] == outcome), None)
