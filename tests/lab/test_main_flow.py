"""The parts of the main job one by one, on real libvirt and Docker: make, start, stop, delete, move, refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually
from tests.stack import Stack

BEHIND_OUR_BACK_S = 5.0


def disks_of(stack: Stack, host: str, uuid: str) -> str:
    folders = ("/var/lib/libvirt/images", "/var/lib/stowage/shared")
    return stack.inside(host, "find", *folders, "-name", f"{uuid}*")


def test_a_vm_is_made_stopped_started_and_deleted(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    assert "running" in stack.inside(HOST, "virsh", "domstate", "flow-vm")
    assert disks_of(stack, HOST, vm["uuid"])

    person.done("POST", f"/workloads/{vm['uuid']}/stop?force=true")
    assert "shut off" in stack.inside(HOST, "virsh", "domstate", "flow-vm")
    person.done("POST", f"/workloads/{vm['uuid']}/start")
    assert "running" in stack.inside(HOST, "virsh", "domstate", "flow-vm")
    person.done("POST", f"/workloads/{vm['uuid']}/stop?force=true")
    person.done("DELETE", f"/workloads/{vm['uuid']}")

    assert "flow-vm" not in stack.inside(HOST, "virsh", "list", "--all", "--name")
    assert disks_of(stack, HOST, vm["uuid"]) == ""
    eventually(lambda: person.workload("flow-vm") is None, BEHIND_OUR_BACK_S)


def test_a_vm_goes_to_another_host_and_back(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    person.done("POST", f"/workloads/{vm['uuid']}/move", {"target": person.host(OTHER)["uuid"]})
    assert "flow-vm" in stack.inside(OTHER, "virsh", "list", "--name").split()
    assert "flow-vm" not in stack.inside(HOST, "virsh", "list", "--all", "--name").split()

    person.done("POST", f"/workloads/{vm['uuid']}/move", {"target": person.host(HOST)["uuid"]})
    assert "flow-vm" in stack.inside(HOST, "virsh", "list", "--name").split()
    assert "flow-vm" not in stack.inside(OTHER, "virsh", "list", "--all", "--name").split()


def test_a_container_is_made_stopped_started_and_deleted(stack: Stack, person: ApiPerson, container: dict[str, Any]):
    assert "flow-box" in stack.inside(HOST, "docker", "ps", "--format", "{{.Names}}").split()

    person.done("POST", f"/workloads/{container['uuid']}/stop")
    assert "flow-box" not in stack.inside(HOST, "docker", "ps", "--format", "{{.Names}}").split()
    person.done("POST", f"/workloads/{container['uuid']}/start")
    assert "flow-box" in stack.inside(HOST, "docker", "ps", "--format", "{{.Names}}").split()
    person.done("POST", f"/workloads/{container['uuid']}/stop")
    person.done("DELETE", f"/workloads/{container['uuid']}")

    assert "flow-box" not in stack.inside(HOST, "docker", "ps", "-a", "--format", "{{.Names}}").split()
    eventually(lambda: person.workload("flow-box") is None, BEHIND_OUR_BACK_S)


def test_a_destroyed_vm_shows_within_five_seconds(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    stack.inside(HOST, "virsh", "destroy", "flow-vm")

    eventually(lambda: person.get(f"/workloads/{vm['uuid']}")["state"] == "stopped", BEHIND_OUR_BACK_S)


def test_a_removed_container_shows_within_five_seconds(stack: Stack, person: ApiPerson, container: dict[str, Any]):
    stack.inside(HOST, "docker", "rm", "-f", "flow-box")

    eventually(lambda: person.workload("flow-box") is None, BEHIND_OUR_BACK_S)


def test_a_container_made_by_hand_is_adopted_within_five_seconds(stack: Stack, person: ApiPerson):
    stack.inside(HOST, "docker", "run", "-d", "--name", "by-hand", "stowage/tiny:1")
    try:
        eventually(lambda: person.workload("by-hand") is not None, BEHIND_OUR_BACK_S)
    finally:
        stack.inside(HOST, "docker", "rm", "-f", "by-hand")


def everything(stack: Stack, person: ApiPerson) -> tuple[Any, ...]:
    """What a refused wish could have left behind, on the hosts and in the database."""
    hosts = [row["name"] for row in person.get("/hosts") if row["power"] == "on"]
    folders = ("/var/lib/libvirt/images", "/var/lib/stowage/shared")
    return (
        {host: stack.inside(host, "virsh", "list", "--all", "--name").split() for host in hosts},
        {host: stack.inside(host, "docker", "ps", "-a", "--format", "{{.Names}}").split() for host in hosts},
        {host: sorted(stack.inside(host, "find", *folders).split()) for host in hosts},
        sorted(row["name"] for row in person.get("/workloads")["items"]),
        stack.rows("select count(*) from workloads_workload where state != 'gone'"),
        stack.rows("select count(*) from hosts_lease where operation_id is not null"),
    )


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        pytest.param({"name": "warehouse"}, "Choose another", id="name taken"),
        pytest.param({"name": "../etc"}, "", id="name with a slash"),
        pytest.param({"memory_mib": 10_000_000}, "MiB", id="more memory than any host has"),
        pytest.param({"disk_gib": 100_000}, "GiB", id="disk larger than the pool"),
        pytest.param({"disk_gib": 0.06}, "", id="disk smaller than the image"),
        pytest.param({"image": "00000000-0000-0000-0000-000000000000"}, "no such image", id="image missing"),
    ],
)
def test_a_vm_that_cannot_be_is_refused_and_leaves_nothing(
    stack: Stack, person: ApiPerson, tiny: str, wish: dict[str, Any], sentence: str
):
    before = everything(stack, person)

    status, answer = person.call("POST", "/workloads/vms", {"name": "never", "image": tiny, "disk_gib": 1} | wish)

    assert 400 <= status < 500, answer
    assert sentence in answer["message"]
    assert everything(stack, person) == before


def test_a_container_of_an_image_that_does_not_exist_leaves_nothing(stack: Stack, person: ApiPerson):
    before = everything(stack, person)

    wish = {"name": "never", "image": "stowage/no-such-image:9", "host": person.host(HOST)["uuid"]}
    status, operation = person.call("POST", "/workloads/containers", wish)

    if status == 202:
        ended = person.ended(operation["uuid"])
        assert ended["state"] == "failed"
        assert "stowage/no-such-image:9" in ended["message"]
    else:
        assert 400 <= status < 500
    eventually(lambda: everything(stack, person) == before, BEHIND_OUR_BACK_S)


def test_a_host_is_not_enrolled_twice(stack: Stack, person: ApiPerson):
    before = len(person.get("/hosts"))
    rack = person.get("/hosts/racks")[0]

    wish = {"name": HOST, "rack_id": rack["id"], "management_address": "10.99.0.1"}
    status, answer = person.call("POST", "/hosts", wish)

    assert 400 <= status < 500
    assert HOST in answer["message"]
    assert len(person.get("/hosts")) == before
