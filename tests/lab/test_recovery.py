"""A lost host: fenced and its VM started elsewhere, exactly once; or not fenced, and nothing is started anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.cables import MANAGEMENT, cable_pulled
from tests.lab.flow import eventually, forget
from tests.lab.test_power_by_hand import runs_again, switch_by_hand, workloads_of
from tests.stack import Stack

LIMIT_S = 120.0
HERE = "from datacenter.models import Policy; from hosts.models import Site, Bmc, Host; "


@pytest.fixture
def automatic(stack: Stack) -> Iterator[None]:
    """Every site recovers its lost hosts by itself, and soon."""
    change = (
        "[Policy.objects.update_or_create(site=s, defaults={'recover_lost_hosts': '%s', 'lost_after_s': %d})"
        " for s in Site.objects.all()]"
    )
    stack.manage("shell", "-c", HERE + change % ("automatic", 15))
    yield
    stack.manage("shell", "-c", HERE + change % ("ask", 60))


@pytest.fixture
def victim(stack: Stack, person: ApiPerson, tiny: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The emptiest host, with a VM on shared storage. Afterwards all is as it was."""
    host = min(person.lab_hosts_on(), key=lambda row: row["workload_count"])
    ran = [row for row in workloads_of(person, host["name"]).values() if row["state"] == "running"]
    wanted = {"name": "lost-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "host": host["uuid"]}
    person.done("POST", "/workloads/vms", wanted)
    vm = person.workload("lost-vm")
    assert vm is not None
    assert "/var/lib/stowage/shared/" in stack.inside(host["name"], "virsh", "domblklist", "lost-vm")
    yield host["name"], vm
    if person.host(host["name"])["power"] != "on":
        person.done("POST", f"/hosts/{host['uuid']}/power-on")
    for row in ran:
        eventually(lambda uuid=row["uuid"]: runs_again(person, uuid), LIMIT_S)
    forget(person, vm["uuid"])


def recovery_of(person: ApiPerson, host: str) -> dict[str, Any]:
    return next((row for row in person.get("/recoveries") if row["host"] == host), {})


def running_on(stack: Stack, person: ApiPerson) -> list[str]:
    """The lab hosts whose own libvirt has the VM running."""
    off = {row["name"] for row in person.get("/hosts") if row["power"] == "off"}
    names = [row["name"] for row in stack.lab["hosts"] if row["name"] not in off]
    return [name for name in names if "lost-vm" in stack.inside(name, "virsh", "list", "--name")]


def test_a_host_without_power_is_fenced_and_its_vm_runs_elsewhere_once(
    stack: Stack, person: ApiPerson, victim: tuple[str, dict[str, Any]], automatic: None
):
    name, vm = victim
    switch_by_hand(stack, name, "ForceOff")

    seconds = eventually(lambda: recovery_of(person, name).get("state") == "done", LIMIT_S)

    found = recovery_of(person, name)
    parts = {part: round(found[f"{part}_seconds"], 1) for part in ("detect", "fence", "start")}
    print(f"\n{name}: {seconds:.1f} s from the plug being pulled to running again; {parts}")
    outcome = {row["name"]: row for row in found["workloads"]}["lost-vm"]
    assert outcome["state"] == "done" and outcome["target"] != name
    assert running_on(stack, person) == [outcome["target"]]
    assert person.get(f"/workloads/{vm['uuid']}")["host"] == outcome["target"]

    person.done("POST", f"/hosts/{person.host(name)['uuid']}/power-on")
    gone = eventually(lambda: "lost-vm" not in stack.inside(name, "virsh", "list", "--all", "--name"), LIMIT_S)
    print(f"its old definition was gone {gone:.1f} s after {name} was back")
    assert running_on(stack, person) == [outcome["target"]]


def test_a_host_that_cannot_be_fenced_keeps_its_vm_to_itself(
    stack: Stack, person: ApiPerson, victim: tuple[str, dict[str, Any]], automatic: None
):
    name, vm = victim
    query = "select b.url from hosts_bmc b join hosts_host h on h.uuid = b.host_id where h.name = '%s'"
    url = stack.rows(query % name)[0][0]
    change = HERE + f"Bmc.objects.filter(host__name='{name}').update(url='%s')"
    stack.manage("shell", "-c", change % "http://127.0.0.1:9")
    try:
        with cable_pulled(stack, name, MANAGEMENT):
            eventually(lambda: recovery_of(person, name).get("state") == "stopped", LIMIT_S)
            found = recovery_of(person, name)
            print(f"\n{found['sentence']}")
            assert "Nothing was started elsewhere." in found["sentence"] and found["workloads"] == []
            assert person.get(f"/workloads/{vm['uuid']}")["host"] == name
            assert running_on(stack, person) == [name]
        eventually(lambda: recovery_of(person, name)["state"] == "ended", LIMIT_S)
    finally:
        stack.manage("shell", "-c", change % url)
