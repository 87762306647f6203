"""The data center in memory must itself be right, or the tests that stand on it prove nothing."""

from __future__ import annotations

import uuid

import pytest

from hosts.drivers.fake import FakeDataCenter
from hosts.errors import Refused, TimedOut, Unreachable
from workloads.drivers.base import MigrationOrder, MigrationProgress
from workloads.drivers.fake import FakeMachines, FakeVolumes
from workloads.drivers.specs import VmSpec

UUID = str(uuid.UUID(int=7))
DISK = {"target": "vda", "path": "/shared/a.qcow2", "size_gib": 1.0, "pool": "shared"}
SPEC = VmSpec.from_data({"uuid": UUID, "name": "a", "vcpus": 1, "memory_mib": 128, "disks": [DISK], "generation": 3})
ORDER = MigrationOrder(UUID, "qemu+tcp://10.77.0.12/system", "tcp://10.77.0.12")


@pytest.fixture
def world() -> FakeDataCenter:
    world = FakeDataCenter("host-1", "host-2")
    world.pool_share("shared", "/shared", "host-1", "host-2")
    FakeVolumes(world, "host-1").ensure(SPEC.disks[0], UUID, None)
    machines = FakeMachines(world, "host-1")
    machines.define(SPEC, "tcg")
    machines.start(UUID)
    return world


def _silent(progress: MigrationProgress) -> None:
    pass


def test_a_migrated_vm_is_paused_on_the_destination_and_gone_from_the_source(world: FakeDataCenter) -> None:
    FakeMachines(world, "host-1").migrate(ORDER, _silent, lambda: False)

    assert world.places(UUID) == {"host-2": "paused"}
    assert world.hosts["host-2"].domains[UUID].boots == 1
    assert world.audit() == []


def test_a_half_migration_is_seen_by_the_audit(world: FakeDataCenter) -> None:
    world.fail("vm.migrate", "half")

    with pytest.raises(Unreachable):
        FakeMachines(world, "host-1").migrate(ORDER, _silent, lambda: False)

    assert world.places(UUID) == {"host-1": "running", "host-2": "paused"}
    assert any("active on host-1 and host-2" in sentence for sentence in world.audit())


def test_two_running_copies_are_seen_by_the_audit(world: FakeDataCenter) -> None:
    machines = FakeMachines(world, "host-2")
    machines.define(SPEC, "tcg")
    machines.start(UUID)

    assert f"{UUID} runs on host-1 and host-2" in world.audit()


def test_a_file_of_nobody_is_seen_by_the_audit(world: FakeDataCenter) -> None:
    world.hosts["host-1"].domains.clear()

    assert world.audit() == ["the file /shared/a.qcow2 of shared belongs to nobody"]


def test_a_lost_reply_comes_after_the_effect_and_a_hang_before_it(world: FakeDataCenter) -> None:
    machines = FakeMachines(world, "host-1")
    world.fail("vm.destroy", "hang")
    with pytest.raises(TimedOut):
        machines.destroy(UUID)
    assert world.places(UUID) == {"host-1": "running"}

    world.fail("vm.destroy", "after")
    with pytest.raises(Unreachable):
        machines.destroy(UUID)
    assert world.places(UUID) == {"host-1": "stopped"}


def test_a_host_without_power_answers_nothing_and_starts_nothing_when_it_returns(
    world: FakeDataCenter,
) -> None:
    world.power_set("host-1", False)
    with pytest.raises(Unreachable):
        FakeMachines(world, "host-1").list_domains()

    world.power_set("host-1", True)

    assert world.places(UUID) == {"host-1": "stopped"}


def test_a_stale_order_to_resume_is_refused(world: FakeDataCenter) -> None:
    machines = FakeMachines(world, "host-1")
    machines.pause(UUID)
    machines.stamp(UUID, 4)

    with pytest.raises(Refused, match="stale"):
        machines.resume(UUID, 3)

    assert world.places(UUID) == {"host-1": "paused"}
