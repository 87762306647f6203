"""What a control group has used: pure readers of the kernel's files, cgroup v1 and v2.

Source: the kernel's admin-guide/cgroup-v1/{cpuacct,memory}.rst and admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CgroupFiles:
    """The files of one group that tell its use; `version` is 1 or 2."""

    version: int
    cpu: Path
    memory_usage: Path
    memory_stat: Path


def cgroup_find(group: str, mountinfo: str) -> CgroupFiles | None:
    """The files of group `group` ("/stowage-ab12/lab-a1", below each tree), given /proc/self/mountinfo's text.

    A machine that mounts v1 trees and a v2 tree beside counts as v1. None when the trees are not mounted.
    """
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = after.split()
        mount_point = Path(before.split()[4])
        if fields[0] == "cgroup2":
            v2 = v2 or mount_point
        elif fields[0] == "cgroup":
            for controller in fields[2].split(","):
                v1.setdefault(controller, mount_point)
    name = group.lstrip("/")
    if "cpuacct" in v1 and "memory" in v1:
        memory = v1["memory"] / name
        return CgroupFiles(
            1, v1["cpuacct"] / name / "cpuacct.usage", memory / "memory.usage_in_bytes", memory / "memory.stat"
        )
    if v2 is not None:
        folder = v2 / name
        return CgroupFiles(2, folder / "cpu.stat", folder / "memory.current", folder / "memory.stat")
    return None


def cpu_seconds_v1(cpuacct_usage: str) -> float:
    """CPU seconds from cpuacct.usage, which counts nanoseconds."""
    return int(cpuacct_usage) / 1e9


def cpu_seconds_v2(cpu_stat: str) -> float:
    """CPU seconds from cpu.stat, whose usage_usec counts microseconds."""
    return _fields(cpu_stat)["usage_usec"] / 1e6


def memory_used_bytes(usage: str, memory_stat: str) -> int:
    """The group's memory without the page cache that the kernel would give up first.

    v1 counts children under "total_inactive_file"; v2's "inactive_file" includes them already.
    """
    stat = _fields(memory_stat)
    return max(0, int(usage) - stat.get("total_inactive_file", stat.get("inactive_file", 0)))


def _fields(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
