"""What this host has and uses: the whole machine by /proc, or the lab host's control group."""

from __future__ import annotations

import math
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hosts.plane import cgroup
from hosts.plane.config import PlaneConfig
from hosts.units import GIB, MIB

_LOAD_WINDOW_S = 60.0


@dataclass(frozen=True)
class MachineUse:
    """One reading; `cpu_seconds_total` counts all CPUs' busy time since some fixed moment."""

    at: float
    cpu_seconds_total: float
    memory_used_mib: float
    load_1m: float | None


@dataclass(frozen=True)
class MachineCapacity:
    cpu_cores: float
    memory_mib: int
    disk_gib: float


class Machine(Protocol):
    """Where use is read from; a reading opens a few files of the kernel and never waits."""

    def read(self) -> MachineUse: ...


class ProcMachine:
    """The whole machine, from /proc (`proc` is another folder in tests)."""

    def __init__(self, proc: str | Path = "/proc") -> None:
        self._proc = Path(proc)
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")

    def read(self) -> MachineUse:
        memory = meminfo_parse((self._proc / "meminfo").read_text())
        return MachineUse(
            time.monotonic(),
            busy_ticks((self._proc / "stat").read_text()) / self._ticks_per_s,
            (memory["MemTotal"] - memory["MemAvailable"]) / MIB,
            float((self._proc / "loadavg").read_text().split()[0]),
        )


class CgroupMachine:
    """A lab host: /proc shows it the machine it shares with others, its group shows its own use."""

    def __init__(self, files: cgroup.CgroupFiles) -> None:
        self._files = files

    def read(self) -> MachineUse:
        text = self._files.cpu.read_text()
        seconds = cgroup.cpu_seconds_v1(text) if self._files.version == 1 else cgroup.cpu_seconds_v2(text)
        used = cgroup.memory_used_bytes(self._files.memory_usage.read_text(), self._files.memory_stat.read_text())
        return MachineUse(time.monotonic(), seconds, used / MIB, None)


def machine_find(config: PlaneConfig) -> Machine:
    """Where this plane's host is read; a group that is not there falls back to the whole machine."""
    if config.cgroup:
        files = cgroup.cgroup_find(config.cgroup, Path("/proc/self/mountinfo").read_text())
        if files is not None and files.cpu.exists() and files.memory_usage.exists():
            return CgroupMachine(files)
    return ProcMachine()


def capacity(config: PlaneConfig) -> MachineCapacity:
    """What the host has: as declared, else what the machine has (its disk: the first pool's file system)."""
    if config.declared:
        return MachineCapacity(config.declared.cpu_cores, config.declared.memory_mib, config.declared.disk_gib)
    memory = meminfo_parse(Path("/proc/meminfo").read_text())
    disk_bytes = shutil.disk_usage(_disk_folder(config)).total
    return MachineCapacity(os.cpu_count() or 1, memory["MemTotal"] // MIB, round(disk_bytes / GIB, 2))


def disk_used_gib(config: PlaneConfig) -> float:
    """GiB used on the host's disk; with a declared capacity, what the first pool's files occupy."""
    folder = _disk_folder(config)
    if config.declared:
        return round(occupied_bytes(folder) / GIB, 2)
    usage = shutil.disk_usage(folder)
    return round((usage.total - usage.free) / GIB, 2)


def occupied_bytes(folder: str | Path) -> int:
    """Bytes that the files below a folder occupy, sparse parts not counted; vanishing files are skipped."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def busy_ticks(stat: str) -> int:
    """Ticks that all CPUs were busy, from /proc/stat: user, nice, system, irq, softirq and steal.

    Guest time is within user already. Source: proc(5).
    """
    fields = [int(field) for field in stat.splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (fields + [0] * 8)[:8]
    return user + nice + system + irq + softirq + steal


def meminfo_parse(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    values = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        number, *unit = rest.split()
        values[name] = int(number) * (1024 if unit else 1)
    return values


class LoadAverage:
    """A one-minute damped mean of CPU use, for hosts whose kernel's load average is not their own."""

    def __init__(self) -> None:
        self._value: float | None = None

    def add(self, cpu_used_cores: float, elapsed_s: float) -> float:
        """The mean with one more stretch in it."""
        if self._value is None:
            self._value = cpu_used_cores
        weight = math.exp(-elapsed_s / _LOAD_WINDOW_S)
        self._value = self._value * weight + cpu_used_cores * (1.0 - weight)
        return round(self._value, 2)


def _disk_folder(config: PlaneConfig) -> str:
    """The first pool's folder, or the nearest one above it that is there."""
    path = Path(config.pools[0].path if config.pools else "/")
    while not path.exists() and path != path.parent:
        path = path.parent
    return str(path)
