"""What this host has and uses: the whole machine by /proc, or the lab host's control group."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hosts.plane import cgroup
from hosts.plane import kernel_counters as kernel
from hosts.plane.config import PlaneConfig
from hosts.plane.kernel_counters import Parts
from hosts.units import GIB, MIB

_LOAD_WINDOW_S = 60.0
WALK_EVERY_S = 30.0


@dataclass(frozen=True)
class MachineUse:
    """One reading; `cpu_seconds_total` counts all CPUs' busy time since some fixed moment.

    `values` are further readings by metric key, `parts` those of single devices and sensors. Both have what this
    machine's kernel offers.
    """

    at: float
    cpu_seconds_total: float
    memory_used_mib: float
    load_1m: float | None
    values: dict[str, float] = field(default_factory=dict)
    parts: Parts = field(default_factory=dict)


@dataclass(frozen=True)
class MachineCapacity:
    cpu_cores: float
    memory_mib: int
    disk_gib: float


class Machine(Protocol):
    """Where use is read from; a reading opens a few files of the kernel and never waits."""

    def read(self) -> MachineUse: ...


class ProcMachine:
    """The whole machine, from /proc and /sys (other folders in tests)."""

    def __init__(self, proc: str | Path = "/proc", sys: str | Path = "/sys") -> None:
        self._proc, self._sys = Path(proc), Path(sys)
        self._ticks_per_s = os.sysconf("SC_CLK_TCK")

    def read(self) -> MachineUse:
        memory = meminfo_parse((self._proc / "meminfo").read_text())
        loads = [float(word) for word in (self._proc / "loadavg").read_text().split()[:3]]
        values = {"load_5m": loads[1], "load_15m": loads[2]}
        if "SwapTotal" in memory:
            values["swap_used_mib"] = (memory["SwapTotal"] - memory.get("SwapFree", 0)) / MIB
        parts: Parts = {}
        self._disks(values, parts)
        _cards(self._proc, self._sys, values, parts)
        values |= kernel.pressure_read(self._proc / "pressure")
        parts["temperature_celsius"] = kernel.temperatures_read(self._sys / "class/hwmon")
        parts["energy_joules_total"] = kernel.energy_read(self._sys / "class/powercap")
        return MachineUse(
            time.monotonic(),
            busy_ticks((self._proc / "stat").read_text()) / self._ticks_per_s,
            (memory["MemTotal"] - memory["MemAvailable"]) / MIB,
            loads[0],
            values,
            parts,
        )

    def _disks(self, values: dict[str, float], parts: Parts) -> None:
        names = kernel.disk_names(self._sys / "block")
        found = kernel.disks_parse(kernel.text_of(self._proc / "diskstats"), names)
        _disk_values({name: use for name, (use, _) in found.items()}, values, parts)
        parts["device_disk_busy_seconds_total"] = {name: busy_s for name, (_, busy_s) in found.items()}


class CgroupMachine:
    """A lab host: /proc shows it the machine it shares with others, its group shows its own use.

    Its network is its own, and so are its disks' counters. Temperatures and energy are the shared machine's and
    are left out.
    """

    def __init__(self, files: cgroup.GroupFiles, proc: str | Path = "/proc", sys: str | Path = "/sys") -> None:
        self._files = files
        self._proc, self._sys = Path(proc), Path(sys)

    def read(self) -> MachineUse:
        files, values, parts = self._files, {}, {}
        used = cgroup.memory_used_bytes(_text(files.memory_usage), _text(files.memory_stat))
        disks = self._disks_by_number()
        names = kernel.device_names(self._sys / "dev/block", disks)
        if files.disk_bytes:
            _disk_values({names[number]: use for number, use in disks.items()}, values, parts)
        _cards(self._proc, self._sys, values, parts)
        if files.folder:
            values |= kernel.pressure_read(Path(files.folder), ".pressure")
        seconds = cgroup.cpu_seconds(files.version, _text(files.cpu))
        return MachineUse(time.monotonic(), seconds, used / MIB, None, values, parts)

    def _disks_by_number(self) -> dict[str, cgroup.DiskUse]:
        sizes = kernel.text_of(Path(self._files.disk_bytes)) if self._files.disk_bytes else ""
        if self._files.version == 2:
            return cgroup.disks_v2(sizes)
        counts = kernel.text_of(Path(self._files.disk_operations)) if self._files.disk_operations else ""
        return cgroup.disks_v1(sizes, counts)


def _text(path: str) -> str:
    return Path(path).read_text()


def _disk_values(disks: dict[str, cgroup.DiskUse], values: dict[str, float], parts: Parts) -> None:
    values |= disk_counters(cgroup.disks_sum(disks))
    for name, use in disks.items():
        for key, value in disk_counters(use).items():
            parts.setdefault(f"device_{key}", {})[name] = value


def disk_counters(use: cgroup.DiskUse) -> dict[str, int]:
    """The use by metric key."""
    return {
        "disk_read_bytes_total": use.read_bytes,
        "disk_written_bytes_total": use.written_bytes,
        "disk_reads_total": use.reads,
        "disk_writes_total": use.writes,
    }


def _cards(proc: Path, sys: Path, values: dict[str, float], parts: Parts) -> None:
    # /proc/net is that of the reading process, and so of the host that it is in
    every = kernel.cards_parse(kernel.text_of(proc / "net/dev"))
    cards = {name: card for name, card in every.items() if kernel.is_uplink(name, sys / "class/net")}
    values |= kernel.cards_sum(cards)
    for name, card in list(cards.items())[: kernel.PARTS_MOST]:
        for key, value in card.items():
            parts.setdefault(f"device_{key}", {})[name] = value


def machine_find(config: PlaneConfig) -> Machine:
    """Where this plane's host is read; a group that is not there falls back to the whole machine."""
    if config.cgroup:
        files = cgroup.cgroup_find(config.cgroup, Path("/proc/self/mountinfo").read_text())
        if files is not None and Path(files.cpu).exists() and Path(files.memory_usage).exists():
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


class DiskUsed:
    """`disk_used_gib`, looked at anew twice a minute where it means walking through folders of files."""

    def __init__(self, config: PlaneConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config, self._clock = config, clock
        self._used_gib, self._read_at = 0.0, float("-inf")

    def __call__(self) -> float:
        if self._config.declared is None or self._clock() - self._read_at >= WALK_EVERY_S:
            self._used_gib, self._read_at = disk_used_gib(self._config), self._clock()
        return self._used_gib


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
