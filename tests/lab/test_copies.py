"""Clones and images on real libvirt: what is on the disk is in the copy, and a VM is made from it elsewhere."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, forget
from tests.stack import Stack


def test_a_stopped_vm_becomes_another_one_and_an_image_from_which_one_is_made_elsewhere(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    path = f"/workloads/{vm['uuid']}"
    for verb, body in (("clone", {"name": "flow-copy"}), ("save-image", {"name": "flow-golden"})):
        status, answer = person.call("POST", f"{path}/{verb}", body)
        assert status == 409 and "Stop it first" in answer["message"]
    person.done("POST", f"{path}/stop?force=true")

    def disk_of(name: str, host: str) -> str:
        return stack.inside(host, "virsh", "domblklist", name).split("vda ")[1].split()[0]

    def qemu_io(host: str, name: str, command: str) -> str:
        return stack.inside(host, "qemu-io", "-f", "qcow2", "-c", command, disk_of(name, host))

    qemu_io(HOST, "flow-vm", "write -P 0x5a 400M 64k")
    made: list[str] = []
    try:
        person.done("POST", f"{path}/clone", {"name": "flow-copy", "start": True})
        copy = person.workload("flow-copy")
        assert copy is not None
        made.append(copy["uuid"])
        assert "running" in stack.inside(HOST, "virsh", "domstate", "flow-copy")
        addresses = [stack.inside(HOST, "virsh", "domiflist", name).split()[-1] for name in ("flow-vm", "flow-copy")]
        assert len(set(addresses)) == 2 and disk_of("flow-copy", HOST) != disk_of("flow-vm", HOST)
        person.done("POST", f"/workloads/{copy['uuid']}/stop?force=true")
        assert "verification failed" not in qemu_io(HOST, "flow-copy", "read -P 0x5a 400M 64k")

        # its own: what is written to one is not in the other
        qemu_io(HOST, "flow-copy", "write -P 0x22 400M 64k")
        assert "verification failed" not in qemu_io(HOST, "flow-vm", "read -P 0x5a 400M 64k")

        person.done("POST", f"{path}/save-image", {"name": "flow-golden"})
        image = next(row for row in person.get("/images") if row["name"] == "flow-golden")
        content = person.fetched(f"/images/{image['uuid']}/content")
        assert hashlib.sha256(content).hexdigest() == image["sha256"] and len(content) == image["size_bytes"]
        assert "sending" not in stack.inside(HOST, "find", "/var/lib/stowage", "-name", "*.sending")

        wanted = {"name": "flow-child", "image": image["uuid"], "memory_mib": 128, "disk_gib": 0.5}
        person.done("POST", "/workloads/vms", wanted | {"host": person.host(OTHER)["uuid"]})
        child = person.workload("flow-child")
        assert child is not None
        made.append(child["uuid"])
        person.done("POST", f"/workloads/{child['uuid']}/stop?force=true")
        assert "verification failed" not in qemu_io(OTHER, "flow-child", "read -P 0x5a 400M 64k")
        person.call("DELETE", f"/images/{image['uuid']}")
    finally:
        for number in made:
            forget(person, number)


def test_a_vm_saved_to_disk_is_not_copied_as_in_the_midst_of_its_work(person: ApiPerson, vm: dict[str, Any]):
    person.done("POST", f"/workloads/{vm['uuid']}/save")
    status, begun = person.call("POST", f"/workloads/{vm['uuid']}/clone", {"name": "flow-copy"})
    assert status == 202, begun
    ended = person.ended(begun["uuid"])
    assert ended["state"] == "failed" and "is saved to disk" in str(ended)
    assert person.workload("flow-copy") is None
