"""What a control group has used: pure readers of the kernel's files, cgroup v1 and v2.

Source: the kernel's admin-guide/cgroup-v1/{cpuacct,memory,blkio-controller,pids}.rst and admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

V1_NEEDED = ("cpuacct", "memory")


@dataclass(frozen=True)
class Trees:
    """Where the groups' trees are mounted: one for each controller on v1, one under "" on v2."""

    version: int
    mounts: Mapping[str, Path]

    def file(self, paths: Mapping[str, str], controller: str, v1: str, v2: str) -> str:
        """A group's file; empty where there is no such file. `paths`: the group in each tree, by controller."""
        name, key = (v2, "") if self.version == 2 else (v1, controller)
        if not name or key not in self.mounts or key not in paths:
            return ""
        return str(self.mounts[key] / paths[key].lstrip("/") / name)


@dataclass(frozen=True)
class GroupFiles:
    """The files of one group that tell its use, as paths; empty where the kernel has none."""

    version: int
    cpu: str
    throttled: str
    memory_usage: str
    memory_stat: str
    disk_bytes: str
    disk_operations: str
    processes: str
    members: str
    folder: str  # of the pressure files, v2 only


def trees_find(mountinfo: str) -> Trees | None:
    """The trees in the text of /proc/self/mountinfo; None when none are mounted.

    A machine that mounts v1 trees and a v2 tree beside counts as v1.
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
    if all(controller in v1 for controller in V1_NEEDED):
        return Trees(1, v1)
    return Trees(2, {"": v2}) if v2 is not None else None


def group_files(trees: Trees, paths: Mapping[str, str]) -> GroupFiles:
    """The files of the group that lies at `paths` of each tree."""
    return GroupFiles(
        trees.version,
        cpu=trees.file(paths, "cpuacct", "cpuacct.usage", "cpu.stat"),
        throttled=trees.file(paths, "cpu", "cpu.stat", "cpu.stat"),
        memory_usage=trees.file(paths, "memory", "memory.usage_in_bytes", "memory.current"),
        memory_stat=trees.file(paths, "memory", "memory.stat", "memory.stat"),
        disk_bytes=trees.file(paths, "blkio", "blkio.throttle.io_service_bytes_recursive", "io.stat"),
        disk_operations=trees.file(paths, "blkio", "blkio.throttle.io_serviced_recursive", ""),
        processes=trees.file(paths, "pids", "pids.current", "pids.current"),
        members=trees.file(paths, "cpuacct", "cgroup.procs", "cgroup.procs"),
        folder=trees.file(paths, "", "", "."),
    )


def cgroup_find(group: str, mountinfo: str) -> GroupFiles | None:
    """The files of group `group` ("/stowage-ab12/lab-a1", below each tree), given /proc/self/mountinfo's text."""
    trees = trees_find(mountinfo)
    return group_files(trees, dict.fromkeys(trees.mounts, group)) if trees else None


def paths_parse(proc_cgroup: str) -> dict[str, str]:
    """A process's group in each tree by controller, "" for v2, from the text of /proc/<pid>/cgroup."""
    paths = {}
    for line in proc_cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        paths |= dict.fromkeys(controllers.split(","), path)
    return paths


def cpu_seconds(version: int, text: str) -> float:
    """CPU seconds: v1's cpuacct.usage counts nanoseconds, v2's cpu.stat microseconds."""
    return int(text) / 1e9 if version == 1 else field(text, "usage_usec") / 1e6


def throttled_seconds(version: int, cpu_stat: str) -> float | None:
    """Seconds for which the group was held back by its limit; None where the kernel does not count."""
    name, scale = ("throttled_time", 1e9) if version == 1 else ("throttled_usec", 1e6)
    return field(cpu_stat, name) / scale if name in cpu_stat else None


def memory_used_bytes(usage: str, memory_stat: str) -> int:
    """The group's memory without the page cache that the kernel would give up first.

    v1 counts children under "total_inactive_file"; v2's "inactive_file" includes them already.
    """
    name = "total_inactive_file" if "total_inactive_file" in memory_stat else "inactive_file"
    return max(0, int(usage) - field(memory_stat, name))


@dataclass(frozen=True)
class DiskUse:
    """What was read and written by operations of one block device."""

    read_bytes: int = 0
    written_bytes: int = 0
    reads: int = 0
    writes: int = 0


def disks_v1(service_bytes: str, serviced: str) -> dict[str, DiskUse]:
    """By device ("8:0"), from blkio.throttle.io_service_bytes_recursive and io_serviced_recursive."""
    sizes, counts = _by_operation(service_bytes), _by_operation(serviced)
    return {
        device: DiskUse(
            sizes.get((device, "Read"), 0),
            sizes.get((device, "Write"), 0),
            counts.get((device, "Read"), 0),
            counts.get((device, "Write"), 0),
        )
        for device in {device for device, _ in sizes | counts}
    }


def disks_v2(io_stat: str) -> dict[str, DiskUse]:
    """By device, from io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..."."""
    found = {}
    for line in io_stat.splitlines():
        device, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        numbers = (int(values.get(name, 0)) for name in ("rbytes", "wbytes", "rios", "wios"))
        found[device] = DiskUse(*numbers)
    return found


def disks_sum(disks: Mapping[str, DiskUse]) -> DiskUse:
    """All devices together."""
    rows = [(use.read_bytes, use.written_bytes, use.reads, use.writes) for use in disks.values()]
    return DiskUse(*(sum(column) for column in zip(*rows, strict=True))) if rows else DiskUse()


def _by_operation(text: str) -> dict[tuple[str, str], int]:
    rows = (line.split() for line in text.splitlines())
    return {(row[0], row[1]): int(row[2]) for row in rows if len(row) == 3}


def field(text: str, name: str) -> int:
    """The number behind a name at the beginning of a line, 0 when there is none; without parsing the other lines."""
    start = 0 if text.startswith(name + " ") else text.find("\n" + name + " ") + 1
    if start == 0 and not text.startswith(name + " "):
        return 0
    return int(text[start + len(name) + 1 :].split("\n", 1)[0])
