"""Wake drills on real lab hosts: one that wakes is timed and proven, one that stays dark goes into quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import eventually
from tests.lab.test_power_by_hand import WAKE_LIMIT_S, runs_again, workloads_of
from tests.stack import Stack

STOP_LIMIT_S = 60.0


@pytest.fixture
def empty_host(person: ApiPerson) -> Iterator[dict[str, Any]]:
    """The emptiest host with all that runs there stopped; afterwards it is on, and what ran runs again."""
    host = min(person.lab_hosts_on(), key=lambda row: row["workload_count"])
    ran = [row for row in workloads_of(person, host["name"]).values() if row["state"] == "running"]
    for row in ran:
        person.call("POST", f"/workloads/{row['uuid']}/stop?force=true")
    for row in ran:
        eventually(lambda uuid=row["uuid"]: person.get(f"/workloads/{uuid}")["state"] == "stopped", STOP_LIMIT_S)
    yield host
    if person.host(host["name"])["power"] != "on":
        person.done("POST", f"/hosts/{host['uuid']}/power-on")
    if person.host(host["name"])["is_quarantined"]:
        person.done("POST", f"/hosts/{host['uuid']}/lift-quarantine", {"reason": "the test is over"})
    for row in ran:
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), WAKE_LIMIT_S)


def proof_of(person: ApiPerson, host: dict[str, Any]) -> dict[str, Any]:
    site = next(row["id"] for row in person.get("/sites") if row["name"] == "lab")
    wakes = person.get(f"/wakes/{site}")
    proof = next(row for row in wakes["hosts"] if row["name"] == host["name"])
    newest = next((row for row in wakes["recent"] if row["host"] == host["name"]), None)
    return proof | {"newest": newest}


def test_a_host_that_wakes_is_proven_and_one_that_stays_dark_is_quarantined(
    stack: Stack, person: ApiPerson, empty_host: dict[str, Any]
):
    name, uuid = empty_host["name"], empty_host["uuid"]
    boot = stack.inside(name, "stat", "-c", "%Y.%Z", "/proc/1")

    drill = person.done("POST", f"/hosts/{uuid}/wake-drill", {"wait_s": 90})

    proof = proof_of(person, empty_host)
    print(f"\n{name}: drill of {drill['seconds']:.1f} s, woke in {proof['newest']['seconds']:.1f} s")
    assert (proof["proof"], proof["why_not"]) == ("proven", "")
    assert proof["newest"]["operation"] == drill["uuid"] and proof["newest"]["passed"]
    assert 0 < proof["newest"]["seconds"] < drill["seconds"]
    assert stack.inside(name, "stat", "-c", "%Y.%Z", "/proc/1") != boot, "it was never off"

    folder = Path(next(row for row in stack.lab["hosts"] if row["name"] == name)["config_file"]).parent
    (folder / "stays-dark").touch()
    try:
        status, operation = person.call("POST", f"/hosts/{uuid}/wake-drill", {"wait_s": 4})
        assert status == 202, operation
        ended = person.ended(operation["uuid"])
    finally:
        (folder / "stays-dark").unlink()

    print(f"{name}: {ended['message']}")
    assert ended["state"] == "failed" and "the power still reads off" in ended["message"]
    host, proof = person.host(name), proof_of(person, empty_host)
    assert (host["status"], host["is_quarantined"], host["power"]) == ("quarantined", True, "off")
    assert (proof["proof"], proof["newest"]["passed"]) == ("quarantined", False)
    wish = {"name": "nowhere", "image": "stowage/tiny:1", "memory_mib": 64, "cpu_cores": 0.1, "host": uuid}
    status, answer = person.call("POST", "/workloads/containers", wish)
    assert status == 409, answer

    woken = person.done("POST", f"/hosts/{uuid}/power-on")
    assert person.host(name)["is_quarantined"], "a person decides"
    person.done("POST", f"/hosts/{uuid}/lift-quarantine", {})
    print(f"{name}: woken by hand in {woken['seconds']:.1f} s and counted on again")
    assert proof_of(person, empty_host)["proof"] == "proven"
