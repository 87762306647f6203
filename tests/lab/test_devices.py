"""Disks and network cards of a running guest, as libvirt and the guest's own disks tell; a move takes them along."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.flow import HOST, OTHER, eventually
from tests.stack import Stack


def test_a_running_vm_gets_a_disk_and_a_card_moves_with_them_and_gives_them_back(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    path, name = f"/workloads/{vm['uuid']}", "flow-vm"

    def disks(host: str) -> dict[str, str]:
        lines = stack.inside(host, "virsh", "domblklist", name).splitlines()[2:]
        return dict(line.split() for line in lines if line.strip())

    def cards(host: str) -> int:
        return stack.inside(host, "virsh", "domiflist", name).count("52:54:00")

    added = person.done("POST", f"{path}/disks", {"size_gib": 0.1})
    person.done("POST", f"{path}/nics", {"bridge": "br-lab"})
    assert set(disks(HOST)) == {"vda", "vdb"} and cards(HOST) == 2, added
    assert "vdb" in stack.inside(HOST, "virsh", "dumpxml", name, "--inactive"), "it has it from its next start on too"
    assert person.get(path)["disk_gib"] == 0.6

    person.done("POST", f"{path}/move", {"target": person.host(OTHER)["uuid"]})
    eventually(lambda: person.get(path)["host"] == OTHER, 30)
    assert set(disks(OTHER)) == {"vda", "vdb"} and cards(OTHER) == 2
    file = disks(OTHER)["vdb"]

    status, refused = person.call("DELETE", f"{path}/disks/vda")
    assert status == 422 and "starts from" in refused["message"]
    person.done("DELETE", f"{path}/disks/vdb?remove_file=true")
    assert (
        set(disks(OTHER)) == {"vda"} and stack.inside(OTHER, "find", file.rpartition("/")[0], "-name", "*-vdb-*") == ""
    )
    second = stack.inside(OTHER, "virsh", "domiflist", name).split("52:54:00")[-1]
    person.done("DELETE", f"{path}/nics/52:54:00{second.split()[0]}")
    assert cards(OTHER) == 1

    # off too: it is there at the next start
    person.done("POST", f"{path}/stop?force=true")
    person.done("POST", f"{path}/disks", {"size_gib": 0.1, "pool": "local"})
    person.done("POST", f"{path}/start")
    assert set(disks(OTHER)) == {"vda", "vdb"}
    person.done("POST", f"{path}/stop?force=true")
    person.done("DELETE", path)
    assert vm["uuid"] not in stack.inside(OTHER, "find", "/var/lib/libvirt/images", "-name", "*.qcow2")
