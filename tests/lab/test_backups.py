"""Backups on real libvirt: what a guest had on its disk, and what changed since, is in a VM made from them."""

from __future__ import annotations

from typing import Any

from tests.lab.api_person import ApiPerson
from tests.lab.faults.injections import kill, pids_inside, run_inside
from tests.lab.flow import HOST, OTHER, eventually, forget
from tests.stack import Stack

LOCAL, SHARED = "/var/lib/stowage/backups", "/var/lib/stowage/shared/backups"


class Disk:
    """The disk of a VM as its guest writes to it, and its content as a checksum."""

    def __init__(self, stack: Stack, host: str, name: str, target: str = "vda") -> None:
        self.stack, self.host, self.name = stack, host, name
        self.path = stack.inside(host, "virsh", "domblklist", name).split(f"{target} ")[1].split()[0]
        self.device = f"/machine/peripheral/virtio-disk{ord(target[2]) - ord('a')}/virtio-backend"

    def write(self, command: str) -> None:
        """By the running QEMU itself, as the guest's own writes go."""
        order = f'qemu-io -d {self.device} "{command}"'
        answer = self.stack.inside(self.host, "virsh", "qemu-monitor-command", self.name, "--hmp", order)
        assert not answer.strip(), answer  # what it did QEMU writes to its own log

    def has(self, pattern: str, at: str) -> bool:
        command = f"read -P {pattern} {at} 64k"
        return "verification failed" not in self.stack.inside(
            self.host, "qemu-io", "-f", "qcow2", "-c", command, self.path
        )

    def sum(self) -> str:
        raw = f"/tmp/{self.name}.raw"
        self.stack.inside(self.host, "qemu-img", "convert", "-O", "raw", self.path, raw)
        digest = self.stack.inside(self.host, "sha256sum", raw).split()[0]
        self.stack.inside(self.host, "rm", raw)
        return digest


def backups_of(person: ApiPerson, uuid: str) -> list[dict[str, Any]]:
    """Oldest first."""
    rows: list[dict[str, Any]] = person.get(f"/workloads/{uuid}/backups")
    return rows[::-1]


def checkpoints(stack: Stack, name: str = "flow-vm") -> list[str]:
    return stack.inside(HOST, "virsh", "checkpoint-list", name, "--name").split()


def test_a_chain_of_backups_outlives_its_vm_and_becomes_another_one_with_equal_content(
    stack: Stack, person: ApiPerson, vm: dict[str, Any]
):
    path, disk = f"/workloads/{vm['uuid']}", Disk(stack, HOST, "flow-vm")
    person.call("PUT", f"/backups/folders/{person.host(HOST)['uuid']}", {"path": SHARED})
    made: list[str] = []
    try:
        disk.write("write -P 0x11 400M 64k")
        disk.write("write -P 0x22 410M 64k")
        person.done("POST", f"{path}/backups", {"kind": "incremental"})
        disk.write("write -P 0x5a 400M 64k")
        disk.write("write -z 410M 64k")
        person.done("POST", f"{path}/backups", {"kind": "incremental"})
        full, part = backups_of(person, vm["uuid"])
        assert (full["kind"], part["kind"], part["parent"]) == ("full", "incremental", full["uuid"])
        assert part["size_bytes"] < full["size_bytes"] / 2 and checkpoints(stack) == [f"stowage-{part['uuid']}"]
        status, answer = person.call("DELETE", f"/backups/{full['uuid']}")
        assert status == 409 and "rests on" in answer["message"]

        person.done("POST", f"/backups/{part['uuid']}/verify")
        assert all(row["verified_at"] for row in backups_of(person, vm["uuid"]))
        person.done("POST", f"{path}/stop?force=true")
        content = disk.sum()
        person.done("DELETE", path)
        assert person.call("GET", path)[0] == 404

        for host, name in ((HOST, "flow-back"), (OTHER, "flow-away")):
            wanted = {"name": name, "host": person.host(host)["uuid"]}
            person.done("POST", f"/backups/{part['uuid']}/restore", wanted)
            back = person.workload(name)
            assert back is not None and back["state"] == "stopped"
            made.append(back["uuid"])
            assert Disk(stack, host, name).sum() == content

        # what lies in the folder is all that is needed: rows that are gone come back from it
        stack.manage("shell", "-c", "from workloads.models import Backup; [b.delete() for b in Backup.objects.all()]")
        person.done("POST", f"/backups/folders/{person.host(HOST)['uuid']}/find")
        assert [row["uuid"] for row in backups_of(person, vm["uuid"])] == [full["uuid"], part["uuid"]]

        # somebody changes a byte: it is found, and nothing is made from it
        file = f"{full['folder']}/{vm['uuid']}/{full['uuid']}/vda.qcow2"
        stack.inside(HOST, "sh", "-c", f"printf x | dd of={file} bs=1 seek=300000 conv=notrunc")
        status, begun = person.call("POST", f"/backups/{part['uuid']}/verify")
        ended = person.ended(begun["uuid"])
        assert ended["state"] == "failed" and "checksum differs" in str(ended)
        assert person.get(f"/backups/{full['uuid']}")["state"] == "damaged"
        for row in (part, full):
            person.done("DELETE", f"/backups/{row['uuid']}")
        assert backups_of(person, vm["uuid"]) == []
        assert stack.inside(HOST, "find", SHARED, "-type", "f") == ""
    finally:
        for uuid in made:
            forget(person, uuid)


def test_what_ends_a_chain_makes_the_next_one_full_and_old_ones_go(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    path = f"/workloads/{vm['uuid']}"

    def back_up(**values: Any) -> dict[str, Any]:
        person.done("POST", f"{path}/backups", values)
        return backups_of(person, vm["uuid"])[-1]

    first = back_up()
    person.done("POST", f"{path}/snapshots", {"name": "before"})
    assert checkpoints(stack) == []
    beside = back_up()
    assert beside["kind"] == "full" and "snapshots" in beside["sentence"]
    person.done("DELETE", f"{path}/snapshots/{person.get(f'{path}/snapshots')[0]['number']}")
    lost = back_up()
    assert lost["kind"] == "full" and "no longer knows" in lost["sentence"], lost
    assert (lost["is_frozen"], lost["not_frozen"]) == (False, "The guest has no agent that could be asked.")
    told = person.get(f"{path}/guest")
    assert (told["agent"], told["told_at"]) == ("away", None) and "No agent answers" in told["sentence"]
    assert back_up()["kind"] == "incremental"
    person.done("POST", f"{path}/stop?force=true")
    at_rest = back_up(keep=2)
    assert at_rest["kind"] == "full" and at_rest["was_off"] and "off" in at_rest["sentence"]
    kept = {row["uuid"] for row in backups_of(person, vm["uuid"])}
    assert first["uuid"] not in kept and beside["uuid"] not in kept and {lost["uuid"], at_rest["uuid"]} < kept
    person.done("POST", f"{path}/start")
    assert back_up()["kind"] == "incremental"  # the disk's own notes outlast a stop

    person.done("POST", f"{path}/move", {"target": person.host(OTHER)["uuid"]})
    eventually(lambda: person.get(path)["host"] == OTHER, 30)
    assert back_up()["kind"] == "full"


def test_all_disks_are_kept_but_the_one_that_told_the_guest_its_password(stack: Stack, person: ApiPerson, tiny: str):
    told = {"user": "ann", "password": "not-a-secret-1", "address": "10.99.0.2/24"}
    wanted = {"name": "flow-vm", "image": tiny, "memory_mib": 128, "disk_gib": 0.5, "first_boot": told}
    person.done("POST", "/workloads/vms", wanted | {"host": person.host(HOST)["uuid"]})
    vm = person.workload("flow-vm")
    assert vm is not None
    made, path, extra = [vm["uuid"]], f"/workloads/{vm['uuid']}", f"/var/lib/libvirt/images/{vm['uuid']}-vdc.qcow2"
    try:
        person.done("POST", f"{path}/stop?force=true")
        stack.inside(HOST, "qemu-img", "create", "-q", "-f", "qcow2", extra, "64M")
        attach = ("attach-disk", "flow-vm", extra, "vdc", "--config", "--subdriver", "qcow2", "--targetbus", "virtio")
        stack.inside(HOST, "virsh", *attach)
        person.done("POST", f"{path}/start")
        disks = [Disk(stack, HOST, "flow-vm", target) for target in ("vda", "vdc")]
        for kind, pattern in (("full", "0x11"), ("incremental", "0x5a")):
            disks[0].write(f"write -P {pattern} 400M 64k")
            disks[1].write(f"write -P {pattern} 8M 64k")
            person.done("POST", f"{path}/backups", {"kind": kind})
        full, part = backups_of(person, vm["uuid"])
        assert [file["target"] for file in part["files"]] == ["vda", "vdc"] and part["kind"] == "incremental"

        for backup, pattern in ((full, "0x11"), (part, "0x5a")):
            person.done("POST", f"/backups/{backup['uuid']}/restore", {"name": f"flow-{backup['kind']}"})
            back = person.workload(f"flow-{backup['kind']}")
            assert back is not None
            made.append(back["uuid"])
            first, second = (Disk(stack, HOST, back["name"], target) for target in ("vda", "vdc"))
            assert first.has(pattern, "400M") and second.has(pattern, "8M") and second.has("0", "9M")
        seed = f"/var/lib/libvirt/images/{made[-1]}-seed.img"
        if "No such" in run_inside(stack, HOST, f"ls {seed} 2>&1"):
            seed = f"/var/lib/stowage/shared/{made[-1]}-seed.img"
        mac = stack.inside(HOST, "virsh", "domiflist", "flow-incremental").split()[-1]
        for word, count in ((vm["uuid"], True), (mac, True), ("hashed_passwd", False), ("ann", False)):
            assert bool(int(run_inside(stack, HOST, f"grep -a -c {word} {seed}"))) is count, word
        for row in (part, full):
            person.done("DELETE", f"/backups/{row['uuid']}")
    finally:
        for uuid in made:
            forget(person, uuid)
        stack.inside(HOST, "rm", "-f", extra)


def test_a_backup_that_is_cut_short_leaves_nothing_half_made(stack: Stack, person: ApiPerson, vm: dict[str, Any]):
    path, disk = f"/workloads/{vm['uuid']}", Disk(stack, HOST, "flow-vm")
    disk.write("write -P 0x33 60M 400M")  # enough to be met in the midst of it
    person.call("PUT", f"/backups/folders/{person.host(HOST)['uuid']}", {"path": ""})

    def files() -> list[str]:
        return run_inside(stack, HOST, f"find {LOCAL} -type f").split()

    def begun() -> str:
        status, operation = person.call("POST", f"{path}/backups", {"kind": "full"})
        assert status == 202, operation
        eventually(lambda: any(".part/vda" in file for file in files()), 20)
        return str(operation["uuid"])

    operation = begun()
    person.call("POST", f"/operations/{operation}/cancel")
    assert person.ended(operation)["state"] == "cancelled"
    assert backups_of(person, vm["uuid"]) == [] and files() == [] and checkpoints(stack) == []

    operation = begun()
    kill(pids_inside(stack, HOST, "--lane long"))
    assert person.ended(operation)["state"] == "done"
    (row,) = backups_of(person, vm["uuid"])
    assert sorted(file.rpartition("/")[2] for file in files()) == ["manifest.json", "vda.qcow2"]
    assert checkpoints(stack) == [f"stowage-{row['uuid']}"]
    person.done("DELETE", f"/backups/{row['uuid']}")
