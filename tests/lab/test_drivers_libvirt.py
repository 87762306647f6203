"""The libvirt drivers and the effects on VMs against two real hosts."""

from __future__ import annotations

import os
import queue
import re
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from hosts.drivers.libvirt_host import LibvirtHost
from hosts.errors import DriverError, Refused, StowageError, TimedOut, Unreachable
from tests.lab.conftest import DriverLab
from tests.lab.effects_inside import EffectsInside

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]
FOLDERS = {"shared": "/var/lib/stowage/shared", "local": "/var/lib/libvirt/images"}


class TrialVm:
    """A VM of the lab's guest image that may be on either host."""

    def __init__(self, lab: DriverLab, pool: str = "shared", **changes: Any) -> None:
        self.lab = lab
        self.uuid = str(uuid.uuid4())
        path = f"{FOLDERS[pool]}/{self.uuid}-vda.qcow2"
        disk = {"target": "vda", "pool": pool, "path": path, "size_gib": 1, "image": lab.image("guest")}
        self.spec: dict[str, Any] = {
            "uuid": self.uuid,
            "name": f"trial-{self.uuid[:8]}",
            "vcpus": 1,
            "memory_mib": 128,
            "disks": [disk],
            "nics": [{"bridge": "br-lab", "mac": "52:54:00:" + ":".join(re.findall("..", self.uuid[:6]))}],
            "generation": 1,
            "operation": str(uuid.uuid4()),
            "labels": {},
        } | changes

    @property
    def path(self) -> str:
        return str(self.spec["disks"][0]["path"])

    def create(self) -> TrialVm:
        source = self.lab.hosts[0]
        for _ in range(2):
            source.run("vm.volumes_ensure", spec=self.spec)
            source.run("vm.define", spec=self.spec)
            source.run("vm.start", uuid=self.uuid)
        return self

    def migrate(self, source: EffectsInside, **changes: Any) -> dict[str, Any]:
        return source.run("vm.migrate", **(self.order() | changes))

    def order(self) -> dict[str, Any]:
        address = self.lab.hosts[1].host["migration_address"]
        return {
            "uuid": self.uuid,
            "destination_uri": f"qemu+tcp://{address}/system",
            "migration_uri": f"tcp://{address}",
            "copied_targets": [],
            "generation": 2,
        }

    def ticks(self, host: EffectsInside) -> list[int]:
        log = host.path(f"/var/log/libvirt/qemu/{self.uuid}-serial.log")
        return [int(n) for n in re.findall(r"STOWAGE tick (\d+)", log.read_text() if log.exists() else "")]

    def wait_for_tick(self, host: EffectsInside, wanted: int) -> None:
        ends_at = time.monotonic() + 40
        while max(self.ticks(host), default=0) < wanted:
            assert time.monotonic() < ends_at, f"the guest's tick {wanted} did not come: {self.ticks(host)}"
            time.sleep(0.1)

    def remove(self) -> None:
        for host in self.lab.hosts:
            host.run("vm.destroy", uuid=self.uuid)
            host.run("vm.undefine", uuid=self.uuid)
        for host in self.lab.hosts:
            host.run("vm.volumes_remove", spec=self.spec)
        for host in self.lab.hosts:
            left = [path.name for folder in FOLDERS.values() for path in host.path(folder).glob(f"{self.uuid}*")]
            for name in [name for name in left if name.endswith(".stowage-left")]:
                (host.path(FOLDERS["local"]) / name).unlink()
            assert [name for name in left if not name.endswith(".stowage-left")] == []


@pytest.fixture
def shared_vm(driver_lab: DriverLab) -> Iterator[TrialVm]:
    vm = TrialVm(driver_lab, "shared")
    yield vm.create()
    vm.remove()


@pytest.fixture
def local_vm(driver_lab: DriverLab) -> Iterator[TrialVm]:
    vm = TrialVm(driver_lab, "local")
    yield vm.create()
    vm.remove()


def hypervisor(lab: DriverLab, number: int) -> LibvirtHost:
    pid = lab.hosts[number].host["init_pid"]
    return LibvirtHost(f"qemu+unix:///system?socket=/proc/{pid}/root/run/libvirt/libvirt-sock")


def test_a_vm_moves_on_shared_storage_and_its_ticks_go_on(driver_lab: DriverLab, shared_vm: TrialVm) -> None:
    source, target = driver_lab.hosts
    shared_vm.wait_for_tick(source, 2)
    described = source.run("vm.describe", uuid=shared_vm.uuid)

    target.run("vm.migrate_check", vm=described, copied_targets=[])
    result = shared_vm.migrate(source)
    arrived = target.run("vm.locate", uuid=shared_vm.uuid)
    target.run("vm.stamp", uuid=shared_vm.uuid, generation=2)
    with pytest.raises(Refused, match="stale"):
        target.run("vm.resume", uuid=shared_vm.uuid, generation=1)
    target.run("vm.resume", uuid=shared_vm.uuid, generation=2)
    source.run("vm.clean_source", uuid=shared_vm.uuid, copied_paths=[])

    assert (arrived["state"], arrived["reason"], arrived["persistent"]) == ("paused", "paused (user)", True)
    assert not source.run("vm.locate", uuid=shared_vm.uuid)["present"]
    last = shared_vm.ticks(source)[-1]
    shared_vm.wait_for_tick(target, last + 2)
    assert shared_vm.ticks(target)[:2] == [last + 1, last + 2]
    assert result["seconds"] < 60


def test_a_vm_moves_with_its_disk_copied(driver_lab: DriverLab, local_vm: TrialVm) -> None:
    source, target = driver_lab.hosts
    local_vm.wait_for_tick(source, 1)
    described = source.run("vm.describe", uuid=local_vm.uuid)
    with pytest.raises(Refused, match="Copy it along"):
        target.run("vm.migrate_check", vm=described, copied_targets=[])

    target.run("vm.migrate_check", vm=described, copied_targets=["vda"])
    for _ in range(2):
        created = target.run("vm.migrate_prepare", disks=described["disks"], serial_log=described["serial_log"])
    result = local_vm.migrate(source, copied_targets=["vda"])
    with pytest.raises(Refused, match="belongs to the VM"):
        target.run("vm.migrate_unprepare", created=created["created"])
    target.run("vm.resume", uuid=local_vm.uuid, generation=2)
    left = source.run("vm.clean_source", uuid=local_vm.uuid, copied_paths=[local_vm.path])["left"]

    last = local_vm.ticks(source)[-1]
    local_vm.wait_for_tick(target, last + 1)
    assert local_vm.ticks(target)[0] == last + 1
    assert result["data_mib"] > 1
    assert len(left) == 1 and not source.path(local_vm.path).exists()


def test_a_move_that_takes_too_long_is_aborted_and_the_vm_stays(driver_lab: DriverLab, local_vm: TrialVm) -> None:
    source, target = driver_lab.hosts
    described = source.run("vm.describe", uuid=local_vm.uuid)
    created = target.run("vm.migrate_prepare", disks=described["disks"], serial_log=described["serial_log"])["created"]

    with pytest.raises(TimedOut, match="asked on both hosts"):
        local_vm.migrate(source, copied_targets=["vda"], bandwidth_mib_s=1, timeout_s=4)
    told = [word["data"]["data_remaining_bytes"] for word in source.progresses if word["data"]]
    target.run("vm.migrate_unprepare", created=created)

    assert source.run("vm.locate", uuid=local_vm.uuid)["state"] == "running"
    assert not target.run("vm.locate", uuid=local_vm.uuid)["present"]
    assert not target.path(local_vm.path).exists()
    assert told


def test_a_move_outlives_the_plane_that_began_it_and_the_next_one_joins(
    driver_lab: DriverLab, shared_vm: TrialVm
) -> None:
    source, target = driver_lab.hosts
    doomed = driver_lab.effects(0)
    shared_vm.wait_for_tick(source, 1)
    doomed.send("vm.migrate", **(shared_vm.order() | {"bandwidth_mib_s": 20}))
    ends_at = time.monotonic() + 20
    while target.run("vm.locate", uuid=shared_vm.uuid)["state"] != "migrating":
        assert time.monotonic() < ends_at, "the migration did not begin"
    for pid in (doomed._process.pid,):
        os.kill(pid, signal.SIGKILL)
    doomed._process.wait()

    with suppress(DriverError):  # the move may end in the very moment of the question; both sides are asked below
        shared_vm.migrate(source)

    ends_at = time.monotonic() + 20
    while source.run("vm.locate", uuid=shared_vm.uuid)["present"] and time.monotonic() < ends_at:
        time.sleep(0.2)
    assert not source.run("vm.locate", uuid=shared_vm.uuid)["present"]
    assert target.run("vm.locate", uuid=shared_vm.uuid)["reason"] == "paused (user)"


def test_the_destination_names_what_it_lacks(driver_lab: DriverLab, shared_vm: TrialVm) -> None:
    source, target = driver_lab.hosts
    vm = source.run("vm.describe", uuid=shared_vm.uuid)
    cases = {
        "bridge": vm | {"bridges": ["br-none"]},
        "memory": vm | {"memory_mib": 900_000},
        "machine type": vm | {"machine": "pc-q35-99.9"},
        "boot": vm | {"boot_files": ["/nowhere/vmlinuz"]},
        "snapshots": vm | {"snapshots": 1},
        "device of its host": vm | {"obstacles": ["It uses a device of its host directly."]},
    }
    words = {"boot": "/nowhere/vmlinuz does not exist", "bridge": "br-none does not exist"}

    for key, changed in cases.items():
        with pytest.raises(Refused, match=words.get(key, key)):
            target.run("vm.migrate_check", vm=changed, copied_targets=[])


def test_hostile_text_adds_no_element_to_the_domain(driver_lab: DriverLab) -> None:
    payload = "x'/><qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/>\"&lt;<b>"
    plain, hostile = TrialVm(driver_lab, labels={"a": "b"}), TrialVm(driver_lab, labels={"a": payload})
    shapes = []
    for vm in (plain, hostile):
        driver_lab.hosts[0].run("vm.volumes_ensure", spec=vm.spec)
        driver_lab.hosts[0].run("vm.define", spec=vm.spec)
        xml = driver_lab.inside(0, "virsh", "dumpxml", vm.uuid)
        shapes.append([(e.tag, sorted(e.keys())) for e in ElementTree.fromstring(xml).iter()])
        vm.remove()

    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("is_on", [True, False])
def test_a_vm_with_a_raw_disk_has_no_snapshot_and_the_host_says_why(driver_lab: DriverLab, is_on: bool) -> None:
    vm = TrialVm(driver_lab)
    vm.spec["disks"].append({"target": "vdb", "pool": "shared", "path": f"{FOLDERS['shared']}/{vm.uuid}-vdb.raw"})
    vm.spec["disks"][1] |= {"format": "raw", "size_gib": 0.01}
    vm.create()
    try:
        if not is_on:
            driver_lab.hosts[0].run("vm.destroy", uuid=vm.uuid)
        with pytest.raises(Refused, match="must be qcow2, and vdb is not"):
            driver_lab.hosts[0].run("vm.snapshot_take", uuid=vm.uuid, name="before", operation=vm.spec["operation"])
    finally:
        vm.remove()


def test_a_foreign_vm_of_the_same_name_is_left_as_it_is(driver_lab: DriverLab) -> None:
    vm = TrialVm(driver_lab)
    source = driver_lab.hosts[0]
    foreign = (
        f"<domain type='qemu'><name>{vm.spec['name']}</name><memory>65536</memory><os><type>hvm</type></os></domain>"
    )
    folder = source.path("/run/stowage")
    (folder / "foreign.xml").write_text(foreign)
    driver_lab.inside(0, "virsh", "define", "/run/stowage/foreign.xml")

    try:
        source.run("vm.volumes_ensure", spec=vm.spec)
        with pytest.raises(Refused, match="already has a VM named"):
            source.run("vm.define", spec=vm.spec)
        source.run("vm.undefine", uuid=vm.uuid, operation=vm.spec["operation"])
        source.run("vm.volumes_remove", spec=vm.spec)
        assert vm.spec["name"] in driver_lab.inside(0, "virsh", "list", "--all", "--name")
    finally:
        driver_lab.inside(0, "virsh", "undefine", vm.spec["name"])


def test_a_disk_in_use_elsewhere_is_not_removed_from_a_shared_pool(driver_lab: DriverLab, shared_vm: TrialVm) -> None:
    with pytest.raises(Refused, match="in use by a running VM"):
        driver_lab.hosts[1].run("vm.volumes_remove", spec=shared_vm.spec)

    assert driver_lab.hosts[0].path(shared_vm.path).exists()


def test_a_host_is_observed_counted_and_watched(driver_lab: DriverLab, shared_vm: TrialVm) -> None:
    host = hypervisor(driver_lab, 0)
    changes: queue.Queue[str] = queue.Queue()
    watch = host.watch(changes.put)
    shared_vm.wait_for_tick(driver_lab.hosts[0], 1)
    try:
        (seen,) = [w for w in host.list_domains() if w.uuid == shared_vm.uuid]
        (used,) = [c for c in host.domain_counters() if c.uuid == shared_vm.uuid]
        driver_lab.inside(0, "virsh", "destroy", shared_vm.uuid)

        assert changes.get(timeout=5) == shared_vm.uuid
        (after,) = [w for w in host.list_domains() if w.uuid == shared_vm.uuid]
    finally:
        watch.close()
        host.close()
    assert (seen.state, seen.generation, seen.managed, seen.autostart) == ("running", 1, True, False)
    assert seen.disks[0].size_gib == 1.0 and seen.bridges == ("br-lab",)
    assert used.cpu_seconds_total > 0.1 and used.memory_used_mib > 20 and used.disk_read_bytes_total > 0
    assert (after.state, after.reason) == ("stopped", "shut off (destroyed)")


def test_facts_come_with_a_sentence_for_each_that_is_missing(driver_lab: DriverLab) -> None:
    host = hypervisor(driver_lab, 1)

    facts = host.facts()

    host.close()
    assert facts.host_uuid == driver_lab.hosts[1].host["host_uuid"]
    assert facts.hypervisor.startswith("QEMU ") and facts.memory_mib and "qemu" in facts.accelerator_listed
    assert facts.serial is not None or any("SMBIOS" in sentence for sentence in facts.missing)


def test_a_frozen_hypervisor_becomes_an_error_and_not_a_wait(driver_lab: DriverLab) -> None:
    host = hypervisor(driver_lab, 1)
    host.open()
    pid = _pid_of(driver_lab, 1, "libvirtd")
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()

    try:
        with pytest.raises((TimedOut, Unreachable)):
            host.list_domains()
        assert time.monotonic() - began < 25
    finally:
        os.kill(pid, signal.SIGCONT)
    ends_at = time.monotonic() + 20
    while True:
        try:
            host.list_domains()
            break
        except StowageError:
            assert time.monotonic() < ends_at
    host.close()


def _pid_of(lab: DriverLab, number: int, name: str) -> int:
    """The pid, as seen from here, of a daemon inside a host."""
    init = lab.hosts[number].host["init_pid"]
    for child in Path(f"/proc/{init}/task/{init}/children").read_text().split():
        if Path(f"/proc/{child}/comm").read_text().strip() == name:
            return int(child)
    raise AssertionError(f"no {name} in {lab.hosts[number].name}")
