"""What the host and each workload use, as rates between two readings of counters."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hosts.drivers.base import WorkloadCounters
from hosts.plane.half import HalfState
from hosts.plane.machine import LoadAverage, Machine, MachineCapacity, MachineUse


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


class Sampler:
    """Makes samples from readings; it reads nothing but the machine itself."""

    def __init__(
        self,
        host: str,
        machine: Machine,
        capacity: Callable[[], MachineCapacity],
        disk_used_gib: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._host = host
        self._machine = machine
        self._capacity = capacity
        self._disk_used_gib = disk_used_gib
        self._clock = clock
        self._rates = CpuRates()
        self._load = LoadAverage()
        self._machine_at: float | None = None
        self._seen: dict[str, int] = {}

    def sample(self, halves: dict[str, HalfState]) -> dict[str, Any] | None:
        """The sample to send, None for the very first call, which has nothing to compare with.

        A half that is not ok, or has no newer reading than last time, gives a sentence in "stale".
        """
        use = self._machine.read()
        cpu_used_cores = self._rates.cores("", use.cpu_seconds_total, use.at)
        workloads: list[dict[str, Any]] = []
        stale: list[str] = []
        for name, half in halves.items():
            if not half.ok:
                stale.append(half.sentence)
            elif self._seen.get(name) == half.reading.number:
                stale.append(f"The {name} gave no new numbers in time.")
            else:
                self._seen[name] = half.reading.number
                workloads += self._workloads(half)
        self._forget(halves)
        if cpu_used_cores is None:
            return None
        return {
            "host": self._host,
            "at": self._clock(),
            "host_sample": self._host_sample(use, cpu_used_cores),
            "workloads": workloads,
            "stale": stale,
        }

    def _host_sample(self, use: MachineUse, cpu_used_cores: float) -> dict[str, Any]:
        elapsed_s = use.at - self._machine_at if self._machine_at is not None else 0.0
        self._machine_at = use.at
        own_load = self._load.add(cpu_used_cores, elapsed_s)
        capacity = self._capacity()
        return {
            "cpu_used_cores": cpu_used_cores,
            "cpu_capacity_cores": capacity.cpu_cores,
            "memory_used_mib": round(use.memory_used_mib, 1),
            "memory_capacity_mib": capacity.memory_mib,
            "disk_used_gib": self._disk_used_gib(),
            "disk_capacity_gib": capacity.disk_gib,
            "load_1m": own_load if use.load_1m is None else use.load_1m,
        }

    def _workloads(self, half: HalfState) -> list[dict[str, Any]]:
        found = []
        for counters in half.reading.counters:
            cores = self._rates.cores(counters.uuid, counters.cpu_seconds_total, half.reading.at)
            if cores is not None:
                found.append(_workload_sample(counters, cores))
        return found

    def _forget(self, halves: dict[str, HalfState]) -> None:
        known = {counters.uuid for half in halves.values() for counters in half.reading.counters}
        self._rates.keep_only(known | {""})


def _workload_sample(counters: WorkloadCounters, cpu_used_cores: float) -> dict[str, Any]:
    guest_mib = counters.memory_guest_used_mib
    return {
        "kind": counters.kind,
        "uuid": counters.uuid,
        "name": counters.name,
        "cpu_used_cores": cpu_used_cores,
        "memory_used_mib": round(counters.memory_used_mib, 1),
        "memory_guest_used_mib": None if guest_mib is None else round(guest_mib, 1),
        "disk_read_bytes_total": counters.disk_read_bytes_total,
        "disk_written_bytes_total": counters.disk_written_bytes_total,
        "network_received_bytes_total": counters.network_received_bytes_total,
        "network_sent_bytes_total": counters.network_sent_bytes_total,
    }
