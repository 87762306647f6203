"""A plan on real hosts, paused, gone on with, and taken back: everything is where it was, once."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually, forget
from tests.lab.test_power_by_hand import WAKE_LIMIT_S, runs_again, workloads_of
from tests.stack import Stack

LIMIT_S = 180.0


def ended(person: ApiPerson, plan: str) -> dict[str, Any]:
    eventually(lambda: person.get(f"/plans/{plan}")["plan"]["finished_at"] is not None, LIMIT_S)
    found = person.get(f"/plans/{plan}")
    assert found["plan"]["state"] == "done", found["plan"]
    return dict(found)


def proposed(person: ApiPerson, plan: str) -> dict[str, Any]:
    eventually(lambda: person.get(f"/plans/{plan}")["plan"]["state"] not in ("planning",), LIMIT_S)
    found = person.get(f"/plans/{plan}")
    assert found["plan"]["state"] == "proposed", found["plan"]
    return dict(found)


def a_host_that_can_be_emptied(person: ApiPerson) -> dict[str, Any]:
    """One of those that carry nothing that must stay; woken where an earlier test left it dark."""
    rows = [row for row in person.get("/hosts") if row["name"] in ("lab-a2", "lab-b2")]
    host = min(rows, key=lambda row: (row["power"] != "on", row["workload_count"]))
    if host["power"] != "on":
        person.done("POST", f"/hosts/{host['uuid']}/power-on")
    return host


def test_a_plan_is_paused_carried_out_and_taken_back(stack: Stack, person: ApiPerson, tiny: str):
    host = a_host_that_can_be_emptied(person)
    ran = [row for row in workloads_of(person, host["name"]).values() if row["state"] == "running"]
    wish = {"name": "undo-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "host": host["uuid"]}
    person.done("POST", "/workloads/vms", wish)
    made = person.workload("undo-vm")
    assert made is not None
    site = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    try:
        status, plan = person.call("POST", "/plans", {"site": site, "evacuate": host["uuid"]})
        assert status == 202
        at = f"/plans/{plan['uuid']}"
        moves = [act for act in proposed(person, plan["uuid"])["actions"] if act["kind"] == "move"]
        assert "undo-vm" in {act["workload"] for act in moves}
        assert person.call("POST", f"{at}/approve")[0] == 200
        assert person.call("POST", f"{at}/pause")[0] == 200
        under_way = {act["workload"] for act in person.get(at)["actions"] if act["state"] != "waiting"}
        eventually(lambda: not any(act["state"] == "running" for act in person.get(at)["actions"]), LIMIT_S)
        assert {act["workload"] for act in person.get(at)["actions"] if act["state"] != "waiting"} == under_way
        # where every move was under way already, there was nothing left to hold back and the plan has ended
        if any(act["state"] == "waiting" for act in person.get(at)["actions"]):
            assert person.call("POST", f"{at}/resume")[0] == 200
        ended(person, plan["uuid"])
        assert person.get(f"/workloads/{made['uuid']}")["host"] != host["name"]
        person.done("POST", f"/hosts/{host['uuid']}/power-off")

        status, undo = person.call("POST", f"{at}/undo")
        assert status == 202
        acts = proposed(person, undo["uuid"])["actions"]
        assert [act["source"] for act in acts if act["kind"] == "power_on"] == [host["name"]]
        assert person.call("POST", f"/plans/{undo['uuid']}/approve")[0] == 200
        ended(person, undo["uuid"])

        for act in moves:
            assert (person.workload(act["workload"]) or {})["host"] == act["source"], act
        on = [row["name"] for row in person.lab_hosts_on()]
        assert [name for name in on if "undo-vm" in stack.inside(name, "virsh", "list", "--name")] == [host["name"]]
    finally:
        forget(person, made["uuid"])
    for row in ran:
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)
