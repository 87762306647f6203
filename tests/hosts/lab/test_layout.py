"""hosts.lab.layout: names, capacities and what is kept."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from hosts.errors import Invalid
from hosts.lab.layout import Layout, write_atomically


def test_four_hosts_stand_in_two_racks(tmp_path: Path) -> None:
    hosts = Layout(tmp_path, 4).hosts()

    assert sorted(host.name for host in hosts) == ["lab-a1", "lab-a2", "lab-b1", "lab-b2"]
    assert {host.rack for host in hosts} == {"a", "b"}


def test_one_host_is_larger_than_the_others(tmp_path: Path) -> None:
    sizes = {host.name: (host.capacity.cpu_cores, host.capacity.memory_mib) for host in Layout(tmp_path, 4).hosts()}

    assert sizes.pop("lab-a1") == (8, 8192)
    assert set(sizes.values()) == {(4, 4096)}


def test_a_growing_lab_keeps_the_hosts_it_had(tmp_path: Path) -> None:
    before = Layout(tmp_path, 2).hosts()

    after = Layout(tmp_path, 6).hosts()

    assert after[:2] == before
    assert len({host.host_uuid for host in after}) == 6
    assert len({host.mac for host in after}) == 6


@pytest.mark.parametrize("count", [0, 13])
def test_a_lab_of_no_or_too_many_hosts_is_refused(tmp_path: Path, count: int) -> None:
    with pytest.raises(Invalid, match="1 to 12"):
        Layout(tmp_path, count)


def test_two_data_directories_share_no_name_outside_of_them(tmp_path: Path) -> None:
    one, other = Layout(tmp_path / "one", 4), Layout(tmp_path / "other", 4)

    assert one.uplink != other.uplink and one.cgroup != other.cgroup
    assert len(one.uplink) <= 15


def test_identities_are_for_root_alone(tmp_path: Path) -> None:
    Layout(tmp_path, 1).hosts()

    assert stat.S_IMODE((tmp_path / "identity.json").stat().st_mode) == 0o600


def test_an_atomic_write_leaves_nothing_beside(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "one")
    write_atomically(tmp_path / "file", "two", mode=0o640)

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "two"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
