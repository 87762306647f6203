"""Moving a VM: whatever breaks, at most one copy is active and no file of anybody is lost."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.drivers.fake import FakeFile
from hosts.errors import Invalid, Refused, StowageError
from tests.workloads.effects.planes import LOCAL, UUID, Planes, vm_spec

DISK = f"{LOCAL}/{UUID}-vda.qcow2"


def create(planes: Planes, folder: str) -> dict[str, Any]:
    for effect in ("vm.volumes_ensure", "vm.define"):
        planes.run("host-1", effect, spec=vm_spec(folder))
    planes.run("host-1", "vm.start", uuid=UUID)
    return planes.run("host-1", "vm.describe", uuid=UUID)


def migrate(planes: Planes, *copied: str, **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "uuid": UUID,
        "destination_uri": "qemu+tcp://10.77.0.12/system",
        "migration_uri": "tcp://10.77.0.12",
        "copied_targets": list(copied),
        "generation": 2,
    }
    return planes.run("host-1", "vm.migrate", **(arguments | changes))


def prepare(planes: Planes, vm: dict[str, Any]) -> list[str]:
    return list(planes.run("host-2", "vm.migrate_prepare", disks=vm["disks"], serial_log=None)["created"])


@pytest.mark.parametrize(("folder", "copied"), [("/shared", ()), (LOCAL, ("vda",))])
def test_a_move_ends_with_one_copy_that_was_never_rebooted(planes: Planes, folder: str, copied: tuple[str]) -> None:
    vm = create(planes, folder)
    planes.run("host-2", "vm.migrate_check", vm=vm, copied_targets=copied)
    if copied:
        prepare(planes, vm)

    migrate(planes, *copied)
    assert planes.world.places(UUID) == {"host-2": "paused"}
    planes.run("host-2", "vm.stamp", uuid=UUID, generation=2)
    planes.run("host-2", "vm.resume", uuid=UUID, generation=2)
    planes.run("host-1", "vm.clean_source", uuid=UUID, copied_paths=[DISK] if copied else [])

    assert planes.world.places(UUID) == {"host-2": "running"}
    assert planes.world.hosts["host-2"].domains[UUID].boots == 1
    assert planes.world.audit() == []


def test_the_check_names_every_reason_at_once(planes: Planes) -> None:
    vm = create(planes, "/shared")
    planes.world.hosts["host-2"].bridges.clear()
    planes.world.hosts["host-2"].memory_mib = 64

    with pytest.raises(Refused) as caught:
        planes.run("host-2", "vm.migrate_check", vm=vm | {"snapshots": 2}, copied_targets=[])

    for reason in ("too little free memory", "no bridge stw0", "snapshots"):
        assert reason in caught.value.message


def test_preparing_twice_and_after_a_crash_leaves_one_empty_target(planes: Planes) -> None:
    vm = create(planes, LOCAL)
    planes.world.fail("volume.target_prepare", "after")
    with pytest.raises(StowageError):
        prepare(planes, vm)

    for _ in range(2):
        assert prepare(planes, vm) == [DISK]
    for _ in range(2):
        planes.run("host-2", "vm.migrate_unprepare", "undo", created=[DISK])

    assert planes.world.audit() == []


def test_a_file_that_was_there_before_fails_the_preparation_and_survives_its_undo(planes: Planes) -> None:
    vm = create(planes, LOCAL)
    files = planes.world.hosts["host-2"].files_for(DISK)
    files[DISK] = FakeFile("somebody's data", 1)

    with pytest.raises(Refused, match="already has a file"):
        prepare(planes, vm)
    # After a failure the control plane knows no "created": it names what would have been made.
    planes.run("host-2", "vm.migrate_unprepare", "undo", created=[DISK])

    assert files[DISK].content == "somebody's data"


def test_unpreparing_never_takes_the_disk_of_a_vm_that_did_arrive(planes: Planes) -> None:
    vm = create(planes, LOCAL)
    created = prepare(planes, vm)
    planes.world.fail("vm.migrate", "after")
    with pytest.raises(StowageError):
        migrate(planes, "vda")

    with pytest.raises(Refused, match="belongs to the VM web-1"):
        planes.run("host-2", "vm.migrate_unprepare", "undo", created=created)

    assert planes.world.places(UUID) == {"host-2": "paused"}


def test_the_source_is_not_cleaned_while_the_vm_is_there(planes: Planes) -> None:
    vm = create(planes, LOCAL)
    prepare(planes, vm)
    planes.world.fail("vm.migrate", "half")
    with pytest.raises(StowageError):
        migrate(planes, "vda")

    with pytest.raises(Refused, match="still here"):
        planes.run("host-1", "vm.clean_source", uuid=UUID, copied_paths=[DISK])

    assert DISK in planes.world.hosts["host-1"].files_for(DISK)


def test_a_copy_that_lost_is_undefined_and_its_disk_set_aside(planes: Planes) -> None:
    vm = create(planes, LOCAL)
    prepare(planes, vm)
    planes.world.fail("vm.migrate", "half")
    with pytest.raises(StowageError):
        migrate(planes, "vda")

    planes.run("host-2", "vm.destroy", uuid=UUID)
    for _ in range(2):
        planes.run("host-2", "vm.clean_source", uuid=UUID, copied_paths=[DISK])

    assert planes.world.places(UUID) == {"host-1": "running"}
    assert planes.world.audit() == []


def test_a_stale_order_resumes_nothing(planes: Planes) -> None:
    create(planes, "/shared")
    migrate(planes)
    planes.run("host-2", "vm.stamp", uuid=UUID, generation=3)

    with pytest.raises(Refused, match="stale"):
        planes.run("host-2", "vm.resume", uuid=UUID, generation=2)

    assert planes.world.places(UUID) == {"host-2": "paused"}


@pytest.mark.parametrize(
    "uri",
    [
        "qemu+ssh://h/system?command=/bin/sh",
        "test:///default",
        "qemu+tcp://h/system?x=y",
        "file:///etc",
        "",
        "qemu+tcp://h\n/system",
    ],
)
def test_a_destination_that_is_no_plain_address_is_refused(planes: Planes, uri: str) -> None:
    create(planes, "/shared")

    with pytest.raises(Invalid):
        migrate(planes, destination_uri=uri)

    assert planes.world.places(UUID) == {"host-1": "running"}


def test_progress_is_told_while_it_moves(planes: Planes) -> None:
    create(planes, "/shared")

    migrate(planes)

    words = planes.contexts["host-1"].sink.progresses  # type: ignore[attr-defined]
    assert any(word["text"] == "starting to move" for word in words)
