"""What the host and each workload use: one message from one look at counters, with rates where people want them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hosts.drivers.base import WorkloadCounters
from hosts.plane.half import HalfState
from hosts.plane.machine import LoadAverage, Machine, MachineCapacity, MachineUse
from hosts.plane.watched import Watched

# What a row of a workload says, in this order behind its uuid.
ROW_KEYS = (
    "cpu_used_cores",
    "cpu_used_ratio",
    *(one.name for one in fields(WorkloadCounters) if one.name not in ("kind", "uuid", "name")),
)


class CpuRates:
    """CPU cores in use, from totals of CPU seconds; one per name."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[float, float]] = {}

    def cores(self, name: str, cpu_seconds_total: float, at: float) -> float | None:
        """Cores used since the last call for `name`; None for the first one.

        A total that went down means that the counter began anew (a restart): what it shows was used since.
        """
        seconds_before, at_before = self._last.get(name, (None, None))
        self._last[name] = (cpu_seconds_total, at)
        if seconds_before is None or at_before is None or at <= at_before:
            return None
        used_s = cpu_seconds_total - seconds_before
        if used_s < 0:
            used_s = cpu_seconds_total
        return round(max(0.0, used_s / (at - at_before)), 4)

    def keep_only(self, names: set[str]) -> None:
        """Forgets everything else, so that a busy host does not fill the memory with workloads long gone."""
        self._last = {name: last for name, last in self._last.items() if name in names}


@dataclass(frozen=True)
class Counted:
    """One look at the workloads of one half; `at` is monotonic. A sentence says why there is nothing new."""

    half: str
    counters: list[WorkloadCounters]
    at: float
    sentence: str = ""


class Sampler:
    """Makes samples from readings; it reads nothing but the machine itself.

    Args:
        dropped: how many samples were thrown away so far because nobody took them.
    """

    def __init__(
        self,
        host: str,
        machine: Machine,
        capacity: Callable[[], MachineCapacity],
        disk_used_gib: Callable[[], float],
        clock: Callable[[], float] = time.time,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        self._host = host
        self._machine = machine
        self._capacity = capacity
        self._disk_used_gib = disk_used_gib
        self._clock = clock
        self._dropped = dropped
        self._rates = CpuRates()
        self._load = LoadAverage()
        self._machine_at: float | None = None
        self._seen: dict[str, int] = {}
        self._stale: dict[str, str] = {}
        self._uuids: dict[str, set[str]] = {}  # by half, as last counted

    def counted(self, name: str, half: HalfState) -> Counted:
        """A half's newest counters, or why there are none."""
        if not half.ok:
            return Counted(name, [], half.reading.at, half.sentence)
        if self._seen.get(name) == half.reading.number:
            return Counted(name, [], half.reading.at, f"The {name} gave no new numbers in time.")
        self._seen[name] = half.reading.number
        return Counted(name, half.reading.counters, half.reading.at)

    def sample(self, looks: Sequence[Counted], only: Watched | None = None) -> dict[str, Any] | None:
        """The sample to send, None for the very first call, which has nothing to compare with.

        With `only`, no other workloads than those are in it, and halves not looked at are as stale as before.
        """
        use = self._machine.read()
        cpu_used_cores = self._rates.cores("", use.cpu_seconds_total, use.at)
        workloads = [rows for look in looks for rows in self._workloads(look, only)]
        if only is None:
            self._rates.keep_only({"", *(uuid for uuids in self._uuids.values() for uuid in uuids)})
        if cpu_used_cores is None:
            return None
        host, parts = self._host_sample(use, cpu_used_cores)
        return {
            "host": self._host,
            "at": self._clock(),
            "host_sample": host,
            "host_parts": parts,
            "workloads": workloads,
            "stale": [sentence for sentence in self._stale.values() if sentence],
        }

    def _host_sample(self, use: MachineUse, cpu_used_cores: float) -> tuple[dict[str, Any], dict[str, Any]]:
        elapsed_s = use.at - self._machine_at if self._machine_at is not None else 0.0
        self._machine_at = use.at
        own_load = self._load.add(cpu_used_cores, elapsed_s)
        capacity = self._capacity()
        values = {
            "cpu_used_cores": cpu_used_cores,
            "cpu_used_ratio": _ratio(cpu_used_cores, capacity.cpu_cores),
            "cpu_capacity_cores": capacity.cpu_cores,
            "cpu_seconds_total": round(use.cpu_seconds_total, 3),
            "memory_used_mib": round(use.memory_used_mib, 1),
            "memory_used_ratio": _ratio(use.memory_used_mib, capacity.memory_mib),
            "memory_capacity_mib": capacity.memory_mib,
            "disk_used_gib": self._disk_used_gib(),
            "disk_capacity_gib": capacity.disk_gib,
            "load_1m": own_load if use.load_1m is None else use.load_1m,
            "samples_dropped_total": self._dropped(),
            **use.values,
        }
        return values, {key: part for key, part in use.parts.items() if part}

    def _workloads(self, look: Counted, only: Watched | None) -> list[dict[str, Any]]:
        """The look as rows, for VMs and for containers: {"kind", "keys", "rows"}, each row led by its uuid."""
        self._stale[look.half] = look.sentence
        if not look.sentence:
            self._uuids[look.half] = {counters.uuid for counters in look.counters}
        rows: dict[str, list[list[Any]]] = {}
        for counters in look.counters:
            if only is None or counters.uuid in only.workloads:
                rows.setdefault(counters.kind, []).append(self._row(counters, look.at))
        return [_without_empty_columns(kind, of_kind) for kind, of_kind in rows.items()]

    def _row(self, counters: WorkloadCounters, at: float) -> list[Any]:
        cores = self._rates.cores(counters.uuid, counters.cpu_seconds_total, at)
        ratio = _ratio(cores, counters.cpu_allotted_cores)
        return [counters.uuid, cores, ratio, *(_short(getattr(counters, key)) for key in ROW_KEYS[2:])]


def _without_empty_columns(kind: str, rows: list[list[Any]]) -> dict[str, Any]:
    """The rows without the columns that nobody fills; their keys stand once, not with each value."""
    kept = [n for n in range(len(ROW_KEYS)) if any(row[n + 1] is not None for row in rows)]
    return {
        "kind": kind,
        "keys": [ROW_KEYS[n] for n in kept],
        "rows": [[row[0], *(row[n + 1] for n in kept)] for row in rows],
    }


def _ratio(part: float | None, whole: float | None) -> float | None:
    return round(part / whole, 4) if part is not None and whole else None


def _short(value: float | int | None) -> float | int | None:
    """Microseconds of CPU and bytes of memory are noise, and noise fills the store."""
    return round(value, 3) if isinstance(value, float) else value
