"""hosts.lab.cgroups: what a machine mounts, and groups that come and go."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from hosts.lab import cgroups

_V1 = """\
31 29 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755
32 31 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:4 - cgroup cgroup rw,cpu,cpuacct
33 31 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
_V2 = "29 24 0:25 / /nowhere/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_a_hybrid_machine_counts_as_v1() -> None:
    trees = cgroups.hierarchies(_V1)

    assert trees.version == 1
    assert trees.roots == (Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/memory"))
    assert trees.controllers == {"cpu", "cpuacct", "memory"}
    assert trees.beside == (Path("/sys/fs/cgroup/unified"),)


def test_a_machine_with_one_tree_is_v2() -> None:
    trees = cgroups.hierarchies(_V2)

    assert (trees.version, trees.roots) == (2, (Path("/nowhere/cgroup"),))


@pytest.mark.skipif(os.geteuid() != 0, reason="control groups need root")
def test_removing_a_group_ends_what_runs_in_it(tmp_path: Path) -> None:
    name = f"stowage-test-{os.getpid()}"
    folders = cgroups.group_make(f"{name}/part")
    process = subprocess.Popen([*cgroups.join_command(folders), "sleep", "60"])
    while process.pid not in cgroups.group_pids(name):
        assert process.poll() is None

    waiter = process.poll  # the zombie would keep its group busy
    assert cgroups.group_remove(name) or (waiter() is not None and cgroups.group_remove(name))

    assert process.wait(5) == -9
    assert not any(folder.parent.exists() for folder in folders)
