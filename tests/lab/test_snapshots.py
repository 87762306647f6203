"""Snapshots on real libvirt: the guest's disk and memory are again what they were, and its host says so."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually, forget
from tests.stack import Stack


def test_a_running_vm_is_taken_and_brought_back_with_its_memory(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    path = f"/workloads/{vm['uuid']}"

    def rows() -> dict[str, Any]:
        return {row["name"]: row for row in person.get(f"{path}/snapshots")}

    def names_there() -> list[str]:
        return stack.inside(HOST, "virsh", "snapshot-list", "flow-vm", "--name").split()

    person.done("POST", f"{path}/snapshots", {"name": "first"})
    person.done("POST", f"{path}/snapshots", {"name": "second"})
    assert names_there() == ["first", "second"]
    assert rows()["first"]["has_memory"] and rows()["second"]["parent"] == "first" and rows()["second"]["is_current"]

    status, answer = person.call("POST", f"{path}/move", {"target": person.host(OTHER)["uuid"]})
    assert status == 409 and "has snapshots" in answer["message"]
    status, answer = person.call("POST", f"{path}/snapshots", {"name": "first"})
    assert status == 422 and "Choose another name" in answer["message"]

    person.done("POST", f"{path}/resize", {"cpu_cores": 1, "memory_mib": 192})
    person.done("POST", f"{path}/stop?force=true")
    person.done("POST", f"{path}/snapshots/{rows()['first']['number']}/revert")
    assert "running" in stack.inside(HOST, "virsh", "domstate", "flow-vm")
    assert "from snapshot" in stack.inside(HOST, "virsh", "domstate", "flow-vm", "--reason")
    assert person.get(path)["state"] == "running" and rows()["first"]["is_current"]

    # its definition came back too: what was asked for its next start is no more, and may be asked for again
    assert "131072" in stack.inside(
        HOST, "virsh", "dumpxml", "flow-vm", "--inactive", "--xpath", "/domain/currentMemory"
    )
    status, answer = person.call("POST", f"{path}/resize", {"cpu_cores": 1, "memory_mib": 128})
    assert status == 422 and "has that size already" in answer["message"]

    # it is owned by the newest operation again, so a verb after it is no stale one
    person.done("POST", f"{path}/pause")
    person.done("POST", f"{path}/resume")
    for name in ("first", "second"):
        person.done("DELETE", f"{path}/snapshots/{rows()[name]['number']}")
    assert names_there() == [] and rows() == {}
    person.done("POST", f"{path}/move", {"target": person.host(OTHER)["uuid"]})
    eventually(lambda: person.get(path)["host"] == OTHER, 30)


def test_what_was_written_after_a_snapshot_is_gone_after_the_revert(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    path = f"/workloads/{vm['uuid']}"
    person.done("POST", f"{path}/stop?force=true")
    disk = stack.inside(HOST, "virsh", "domblklist", "flow-vm").split("vda ")[1].split()[0]

    def qemu_io(command: str) -> str:
        return stack.inside(HOST, "qemu-io", "-f", "qcow2", "-c", command, disk)

    qemu_io("write -P 0x11 400M 64k")
    person.done("POST", f"{path}/snapshots", {"name": "before"})
    qemu_io("write -P 0x22 400M 64k")
    number = person.get(f"{path}/snapshots")[0]["number"]
    person.done("POST", f"{path}/snapshots/{number}/revert")

    assert "Pattern verification failed" not in qemu_io("read -P 0x11 400M 64k")
    assert person.get(path)["state"] == "stopped" and person.get(path)["desired"] == "stopped"


def test_a_vm_with_a_disk_for_its_first_boot_has_none_and_is_told_why(person: ApiPerson, tiny: str):
    told = {"user": "ann", "password": "not-a-secret-1"}
    wanted = {"name": "flow-told", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "first_boot": told}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    vm = person.workload("flow-told")
    assert vm is not None
    try:
        status, answer = person.call("POST", f"/workloads/{vm['uuid']}/snapshots", {"name": "before"})
        assert status == 409 and "every disk of a VM can hold one" in answer["message"]
    finally:
        forget(person, vm["uuid"])
