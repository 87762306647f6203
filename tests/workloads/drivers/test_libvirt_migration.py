"""The call that moves a VM, and what libvirt's numbers mean. The move itself is in tests/lab."""

from __future__ import annotations

import uuid
from dataclasses import replace

import libvirt
import pytest

from hosts.drivers.domain_facts import DomainFacts, parse
from hosts.errors import Refused
from workloads.drivers.base import MigrationOrder
from workloads.drivers.domain_xml import build
from workloads.drivers.libvirt_migration import call_of, progress_of
from workloads.drivers.specs import DiskSpec, VmSpec

UUID = str(uuid.UUID(int=5))


def facts(cache: str = "none") -> DomainFacts:
    disks = (DiskSpec("vda", "/shared/a.qcow2", 1), DiskSpec("vdb", "/local/b.qcow2", 1))
    return parse(build(VmSpec(UUID, "web-1", 1, 128, disks), "tcg", {"vda": cache, "vdb": cache}))


def order(*copied: str) -> MigrationOrder:
    return MigrationOrder(UUID, "qemu+tcp://10.0.0.2/system", "tcp://10.0.0.2", copied)


def test_every_move_leaves_the_destination_paused_and_goes_peer_to_peer() -> None:
    for copied in ((), ("vda", "vdb")):
        flags, parameters = call_of(order(*copied), facts())

        for flag in (
            "LIVE",
            "PEER2PEER",
            "PERSIST_DEST",
            "UNDEFINE_SOURCE",
            "ABORT_ON_ERROR",
            "AUTO_CONVERGE",
            "PAUSED",
        ):
            assert flags & getattr(libvirt, f"VIR_MIGRATE_{flag}"), flag
        assert not flags & libvirt.VIR_MIGRATE_POSTCOPY
        assert parameters[libvirt.VIR_MIGRATE_PARAM_URI] == "tcp://10.0.0.2"


def test_the_guest_is_not_slowed_down_where_that_is_not_wanted() -> None:
    flags, _ = call_of(replace(order(), auto_converge=False), facts())

    assert not flags & libvirt.VIR_MIGRATE_AUTO_CONVERGE and flags & libvirt.VIR_MIGRATE_PAUSED


def test_only_the_named_disks_are_copied() -> None:
    flags, parameters = call_of(order("vdb"), facts())

    assert flags & libvirt.VIR_MIGRATE_NON_SHARED_DISK
    assert parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] == ["vdb"]


def test_no_disk_is_copied_when_all_are_shared() -> None:
    flags, parameters = call_of(order(), facts())

    assert not flags & libvirt.VIR_MIGRATE_NON_SHARED_DISK
    assert libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS not in parameters


def test_a_shared_disk_cached_by_its_host_is_never_moved_live() -> None:
    with pytest.raises(Refused, match="cached by its host"):
        call_of(order("vdb"), facts(cache="writeback"))


def test_a_copied_disk_may_be_cached_by_its_host() -> None:
    flags, _ = call_of(order("vda", "vdb"), facts(cache="writeback"))

    assert not flags & libvirt.VIR_MIGRATE_UNSAFE


def test_a_disk_that_the_vm_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match="no disk vdz"):
        call_of(order("vdz"), facts())


def test_progress_is_a_share_of_what_there_is_to_send() -> None:
    stats = {
        "time_elapsed": 1500,
        "data_total": 1000,
        "data_processed": 750,
        "data_remaining": 250,
        "memory_dirty_rate": 10,
        "memory_page_size": 4096,
        "memory_iteration": 2,
        "downtime": 300,
        "auto_converge_throttle": 20,
    }

    progress = progress_of(stats)

    assert progress.percent == 75.0
    assert progress.dirty_rate_bytes_s == 40960
    assert (progress.elapsed_s, progress.iteration, progress.expected_downtime_ms) == (1.5, 2, 300)
    assert progress.throttle_percent == 20
    assert progress_of({}).percent is None
