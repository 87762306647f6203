"""Maintenance on real hosts: one is emptied by a plan and taken into it; a rack pauses where a VM may not leave."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually, forget
from tests.lab.test_power_by_hand import workloads_of
from tests.lab.test_undo import a_host_that_can_be_emptied
from tests.stack import Stack

LIMIT_S = 180.0


def test_a_host_is_emptied_as_was_said_before_and_then_in_maintenance(stack: Stack, person: ApiPerson, tiny: str):
    host = a_host_that_can_be_emptied(person)
    wish = {"name": "drain-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "host": host["uuid"]}
    person.done("POST", "/workloads/vms", wish)
    made = person.workload("drain-vm")
    assert made is not None
    try:
        status, run = person.call("POST", "/maintenance", {"host": host["uuid"]})
        assert status == 202, run
        at = f"/maintenance/{run['uuid']}"
        eventually(lambda: person.get(at)["workloads"] is not None, LIMIT_S)
        lines = person.get(at)["workloads"]
        assert [line["why_not"] for line in lines] == [""] * len(lines), lines
        assert next(line for line in lines if line["name"] == "drain-vm")["seconds"] > 0
        assert person.call("POST", f"{at}/begin", {})[0] == 200

        eventually(lambda: person.get(at)["state"] not in ("running", "proposed"), LIMIT_S)

        assert person.get(at)["state"] == "done", person.get(at)
        assert person.get(f"/hosts/{host['uuid']}")["is_in_maintenance"]
        assert stack.inside(host["name"], "virsh", "list", "--name").split() == []
        for line in lines:
            if line["kind"] == "vm":
                assert line["name"] in stack.inside(line["target"], "virsh", "list", "--name").split(), line
    finally:
        person.done("POST", f"/hosts/{host['uuid']}/maintenance?on=false")
        forget(person, made["uuid"])


def test_a_rack_pauses_at_the_host_whose_vm_is_pinned_and_leaves_all_as_it_was(person: ApiPerson):
    site = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    host: dict[str, Any] = person.host("lab-b1")
    before = set(workloads_of(person, "lab-b1"))

    status, run = person.call("POST", "/maintenance", {"site": site, "rack": host["rack"]})
    assert status == 202, run
    at = f"/maintenance/{run['uuid']}"
    try:
        eventually(lambda: person.get(at)["state"] != "running", LIMIT_S)
        found = person.get(at)
        assert found["state"] == "paused"
        assert found["sentence"].startswith("lab-b1: ")
        assert "can't leave" in found["sentence"]
    finally:
        assert person.call("POST", f"{at}/stop")[0] == 200
    assert set(workloads_of(person, "lab-b1")) == before
    assert not person.get(f"/hosts/{host['uuid']}")["is_in_maintenance"]


def test_a_host_of_a_rack_is_emptied_switched_off_woken_and_handed_back(person: ApiPerson):
    host = a_host_that_can_be_emptied(person)
    site = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    # who is in maintenance already is passed over, and so are its pinned workloads
    neighbours = [row for row in person.get("/hosts") if row["rack"] == host["rack"] and row["name"] != host["name"]]
    for row in neighbours:
        person.done("POST", f"/hosts/{row['uuid']}/maintenance?on=true")
    wakes = person.get(f"/wakes/{site}")["wakes"]
    status, run = person.call("POST", "/maintenance", {"site": site, "rack": host["rack"], "is_cycled": True})
    try:
        assert (status, [member["host_name"] for member in run["members"]]) == (202, [host["name"]]), run
        at = f"/maintenance/{run['uuid']}"

        eventually(lambda: person.get(at)["state"] != "running", LIMIT_S)

        found = person.get(at)
        assert (found["state"], [member["state"] for member in found["members"]]) == ("done", ["done"]), found
    finally:
        person.call("POST", f"/maintenance/{run.get('uuid')}/stop")  # refused where it is over
        for row in neighbours:
            person.done("POST", f"/hosts/{row['uuid']}/maintenance?on=false")
    now = person.host(host["name"])
    assert (now["power"], now["is_in_maintenance"]) == ("on", False)
    assert person.get(f"/wakes/{site}")["wakes"] == wakes + 1
