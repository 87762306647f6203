"""Effects on VMs: each is an "ensure", each undo touches only what its step made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hosts.drivers.fake import FakeDisk, FakeDomain, FakeFile
from hosts.errors import DriverError, Invalid, NotFound, Refused, StowageError
from tests.workloads.effects.planes import LOCAL, OPERATION, UUID, Planes, vm_spec


def create(planes: Planes, **changes: Any) -> None:
    for effect in ("vm.volumes_ensure", "vm.define"):
        planes.run("host-1", effect, spec=vm_spec(**changes))
    planes.run("host-1", "vm.start", uuid=UUID)


def test_a_vm_is_created_once_however_often_it_is_asked_for(planes: Planes) -> None:
    for _ in range(2):
        create(planes)

    assert planes.world.places(UUID) == {"host-1": "running"}
    assert planes.world.hosts["host-1"].domains[UUID].boots == 1
    assert len(planes.control.fetched) == 1
    assert planes.world.audit() == []


def test_a_created_vm_is_undone_without_a_trace(planes: Planes) -> None:
    before = planes.world.snapshot()
    create(planes)

    for _ in range(2):
        planes.run("host-1", "vm.destroy", "undo", uuid=UUID)
        planes.run("host-1", "vm.undefine", "undo", uuid=UUID, operation=OPERATION)
        planes.run("host-1", "vm.volumes_remove", "undo", spec=vm_spec())

    assert planes.world.snapshot() == before


def test_disks_made_before_one_that_fails_are_removed_again(planes: Planes) -> None:
    disks = vm_spec()["disks"]
    too_large = disks[0] | {"target": "vdb", "path": f"/shared/{UUID}-vdb.qcow2", "size_gib": 4000}

    with pytest.raises(Refused, match="Choose a smaller disk or another pool"):
        planes.run("host-1", "vm.volumes_ensure", spec=vm_spec(disks=[*disks, too_large]))

    assert planes.shared.files == {}


def test_an_image_that_is_none_leaves_neither_a_file_nor_a_disk(planes: Planes) -> None:
    planes.world.fail("volume.image_inspect", error=Refused("The file is not a qcow2 image."))

    with pytest.raises(Refused, match="not a qcow2 image"):
        planes.run("host-1", "vm.volumes_ensure", spec=vm_spec())

    cache = planes.contexts["host-1"].config.image_cache
    assert planes.shared.files == {}
    assert list(Path(cache).iterdir()) == []


def test_an_image_that_cannot_be_unpacked_leaves_neither_a_file_nor_a_disk(planes: Planes) -> None:
    planes.world.fail("volume.image_unpack", error=DriverError("The image could not be copied into the disk."))

    with pytest.raises(DriverError, match="could not be copied"):
        planes.run("host-1", "vm.volumes_ensure", spec=vm_spec())

    cache = planes.contexts["host-1"].config.image_cache
    assert planes.shared.files == {}
    assert list(Path(cache).iterdir()) == []


def test_a_name_that_is_taken_is_refused_and_its_owner_untouched_by_the_undo(planes: Planes) -> None:
    host = planes.world.hosts["host-1"]
    host.domains["other"] = FakeDomain("other", "web-1", managed=False)

    with pytest.raises(Refused, match="already has a VM named web-1"):
        planes.run("host-1", "vm.define", spec=vm_spec(disks=[]))
    planes.run("host-1", "vm.undefine", "undo", uuid=UUID, operation=OPERATION)

    assert list(host.domains) == ["other"]


def test_the_undo_of_a_create_leaves_a_vm_of_another_operation_alone(planes: Planes) -> None:
    create(planes)
    planes.run("host-1", "vm.destroy", uuid=UUID)
    another = OPERATION.replace("0", "1")

    assert planes.run("host-1", "vm.undefine", "undo", uuid=UUID, operation=another) == {"removed": False}
    assert planes.world.places(UUID) == {"host-1": "stopped"}


def test_the_disks_of_a_vm_that_is_still_defined_are_not_removed(planes: Planes) -> None:
    create(planes)

    with pytest.raises(Refused, match="belongs to the VM web-1"):
        planes.run("host-1", "vm.volumes_remove", spec=vm_spec())


def test_an_adopted_vms_disk_outside_of_the_pools_is_kept(planes: Planes) -> None:
    disks = [{"target": "hda", "path": "/srv/legacy.img", "size_gib": 0.0, "format": "raw"}]

    output = planes.run("host-1", "vm.volumes_remove", spec={"uuid": UUID, "disks": disks})

    assert output == {"kept": ["/srv/legacy.img"]}


@pytest.mark.parametrize("key", ["kernel", "initrd"])
def test_no_file_of_the_host_boots_as_a_kernel(planes: Planes, key: str) -> None:
    with pytest.raises(Refused, match="must lie in one of the host's pools"):
        planes.run("host-1", "vm.define", spec=vm_spec(**{key: "/etc/shadow"}))

    planes.run("host-1", "vm.define", spec=vm_spec(**{key: f"{LOCAL}/vmlinuz"}))


def test_a_vm_runs_under_what_the_trial_boot_found(planes: Planes) -> None:
    planes.contexts["host-1"].state.flag_set("accelerator_trial", '{"key": "x", "answer": {"accelerator": "kvm"}}')

    assert planes.run("host-1", "vm.define", spec=vm_spec())["accelerator"] == "kvm"
    assert planes.run("host-2", "vm.define", spec=vm_spec())["accelerator"] == "tcg"


@pytest.mark.parametrize("effect", ["vm.start", "vm.stop", "vm.destroy", "vm.undefine", "vm.locate", "vm.describe"])
def test_a_uuid_that_is_none_never_reaches_a_driver(planes: Planes, effect: str) -> None:
    with pytest.raises(Invalid):
        planes.run("host-1", effect, uuid="../../etc")

    assert not [call for _, call in planes.world.calls if call.startswith("vm.")]


def test_a_vm_that_is_not_there_is_not_found_and_stopping_it_is_done(planes: Planes) -> None:
    for effect in ("vm.start", "vm.describe", "vm.stamp", "vm.resume"):
        with pytest.raises(NotFound):
            planes.run("host-1", effect, uuid=UUID, generation=1)

    assert planes.run("host-1", "vm.stop", uuid=UUID, force=False)["state"] == "unknown"


def test_a_description_names_each_disks_pool(planes: Planes) -> None:
    create(planes)
    host = planes.world.hosts["host-1"]
    host.domains[UUID].disks.append(FakeDisk("vdb", "/srv/x.img", "raw", 1))
    host.files["/srv/x.img"] = FakeFile("x", 1)

    disks = planes.run("host-1", "vm.describe", uuid=UUID)["disks"]

    assert [(disk["pool"], disk["pool_id"]) for disk in disks] == [("shared", planes.shared.pool_id), (None, None)]


@pytest.mark.parametrize("mode", ["before", "after", "hang"])
def test_a_failing_hypervisor_is_reported_in_our_words(planes: Planes, mode: Any) -> None:
    create(planes)
    planes.world.fail("vm.destroy", mode)

    with pytest.raises(StowageError):
        planes.run("host-1", "vm.destroy", uuid=UUID)
    planes.run("host-1", "vm.destroy", uuid=UUID)

    assert planes.world.places(UUID) == {"host-1": "stopped"}
