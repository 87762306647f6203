"""hosts.lab.seed and seed_plan: the story that a new lab tells."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from hosts.lab import seed, seed_plan
from hosts.lab.layout import SMALL
from hosts.lab.seed_plan import CONTAINERS, VMS, place_of

_ALL = (*VMS, *CONTAINERS)
_UUID = "11111111-2222-4333-8444-555555555503"


@pytest.mark.parametrize("host_count", [2, 4, 6])
def test_no_host_starts_empty(host_count: int) -> None:
    assert {place_of(workload, host_count) for workload in _ALL} == set(range(host_count))


def test_one_container_fits_the_largest_host_alone_and_starts_there() -> None:
    large = [container for container in CONTAINERS if container.memory_mib > SMALL.memory_mib]

    assert [(container.memory_mib, place_of(container, 4)) for container in large] == [(5120, 0)]


def test_the_pinned_vm_and_the_large_container_hold_different_hosts() -> None:
    pinned = [vm for vm in VMS if ("pinned", "true") in vm.labels]

    assert len(pinned) == 1
    assert place_of(pinned[0], 4) != 0


def test_the_pair_that_must_not_meet_starts_apart() -> None:
    pair = [vm for vm in VMS if ("anti-affinity", "shop") in vm.labels]

    assert len(pair) == 2
    assert place_of(pair[0], 4) != place_of(pair[1], 4)


@pytest.mark.parametrize("host_count", [1, 2, 4, 6])
def test_what_starts_on_a_host_fits_it(host_count: int) -> None:
    used = {number: 0 for number in range(host_count)}
    for workload in _ALL:
        used[place_of(workload, host_count)] += workload.memory_mib

    assert used.pop(0) <= 8192 or host_count == 1
    assert all(memory_mib <= SMALL.memory_mib for memory_mib in used.values())


def test_two_of_four_hosts_can_be_emptied_with_a_quarter_kept_free() -> None:
    left_mib = 0.75 * (8192 + 4096) - sum(w.memory_mib for w in _ALL if place_of(w, 4) in (0, 1))

    assert sum(w.memory_mib for w in _ALL if place_of(w, 4) in (2, 3)) <= left_mib


def test_vms_lie_on_both_kinds_of_pool() -> None:
    assert {vm.pool for vm in VMS} == {"local", "shared"}


def test_a_uuid_carries_the_load() -> None:
    for load_percent in range(16):
        assert int(seed.uuid_with_load(load_percent)[-2:], 16) % 16 == load_percent


def test_a_labelled_vm_says_so_in_its_metadata() -> None:
    xml = ElementTree.fromstring(seed.domain_xml(VMS[1], _UUID, "none"))

    label = xml.find(f"metadata/{{{seed.NAMESPACE}}}workload/{{{seed.NAMESPACE}}}label")
    assert label is not None
    assert (label.get("name"), label.text, label.get("key"), label.get("value")) == ("pinned", "true", "pinned", "true")


def test_a_vm_is_wired_for_consoles_and_a_lasting_log() -> None:
    xml = ElementTree.fromstring(seed.domain_xml(VMS[0], _UUID, "none"))

    assert xml.get("type") == "qemu"
    log = xml.find("devices/serial/log")
    assert log is not None and log.attrib == {
        "file": f"/var/log/libvirt/qemu/{_UUID}-serial.log",
        "append": "on",
    }
    listen = xml.find("devices/graphics/listen")
    assert listen is not None and listen.get("type") == "socket"
    assert xml.find("metadata") is None


def test_a_container_gets_limits_and_no_more_rights() -> None:
    arguments = seed.run_arguments(next(c for c in CONTAINERS if c.name == "proxy-1"))

    assert arguments[-1] == "stowage/tiny:1"
    assert "128m" in arguments and "8080:8080" in arguments
    assert "--privileged" not in arguments


def test_the_cache_mode_probe_leaves_nothing(tmp_path: Path) -> None:
    assert seed.cache_mode(tmp_path) in ("none", "writeback")
    assert list(tmp_path.iterdir()) == []


def test_names_are_told_apart() -> None:
    assert len({workload.name for workload in _ALL}) == len(_ALL) == 12
    assert seed_plan.SHARED != seed_plan.LOCAL
