from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hosts.drivers.base import WorkloadCounters
from hosts.plane.half import HalfReading, HalfState
from hosts.plane.machine import MachineCapacity, MachineUse
from hosts.plane.sampler import CpuRates, Sampler

COUNTERS = WorkloadCounters("vm", "vm-1", "web", 10.0, 128.0, None, 1, 2, 3, 4)


class ScriptedMachine:
    """A machine whose readings were written down before."""

    def __init__(self, *uses: tuple[float, float]) -> None:
        self._uses = list(uses)

    def read(self) -> MachineUse:
        at, cpu_seconds_total = self._uses.pop(0)
        return MachineUse(at, cpu_seconds_total, 1000.0, None)


def sampler(machine: ScriptedMachine) -> Sampler:
    return Sampler("alpha", machine, lambda: MachineCapacity(4, 4096, 40.0), lambda: 7.5, lambda: 1700.0)


def answering(number: int, at: float, *counters: WorkloadCounters) -> HalfState:
    return HalfState(True, "", HalfReading([], list(counters), at, number))


def test_cores_are_cpu_seconds_by_seconds() -> None:
    rates = CpuRates()

    assert rates.cores("vm-1", 10.0, 100.0) is None
    assert rates.cores("vm-1", 17.5, 105.0) == pytest.approx(1.5)


def test_a_counter_that_began_anew_never_gives_a_negative_rate() -> None:
    rates = CpuRates()
    rates.cores("vm-1", 1000.0, 100.0)

    assert rates.cores("vm-1", 2.0, 105.0) == pytest.approx(0.4)


def test_two_readings_at_one_moment_give_no_rate() -> None:
    rates = CpuRates()
    rates.cores("vm-1", 10.0, 100.0)

    assert rates.cores("vm-1", 11.0, 100.0) is None


def test_the_first_look_gives_no_sample() -> None:
    assert sampler(ScriptedMachine((0.0, 0.0))).sample({}) is None


def test_a_sample_has_the_contracts_fields() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    a_sampler.sample({"hypervisor": answering(1, 0.0, COUNTERS)})
    later = replace(COUNTERS, cpu_seconds_total=12.5)

    sample: Any = a_sampler.sample({"hypervisor": answering(2, 5.0, later)})

    assert sample == {
        "host": "alpha",
        "at": 1700.0,
        "host_sample": {
            "cpu_used_cores": 2.0,
            "cpu_capacity_cores": 4,
            "memory_used_mib": 1000.0,
            "memory_capacity_mib": 4096,
            "disk_used_gib": 7.5,
            "disk_capacity_gib": 40.0,
            "load_1m": 2.0,
        },
        "workloads": [
            {
                "kind": "vm",
                "uuid": "vm-1",
                "name": "web",
                "cpu_used_cores": 0.5,
                "memory_used_mib": 128.0,
                "memory_guest_used_mib": None,
                "disk_read_bytes_total": 1,
                "disk_written_bytes_total": 2,
                "network_received_bytes_total": 3,
                "network_sent_bytes_total": 4,
            }
        ],
        "stale": [],
    }


def test_a_half_that_does_not_answer_leaves_a_sentence_and_the_other_half_counts_on() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    frozen = HalfState(False, "The hypervisor has not answered for 7 seconds.", HalfReading())
    box = replace(COUNTERS, kind="container", uuid="box")
    a_sampler.sample({"hypervisor": frozen, "container engine": answering(1, 0.0, box)})

    sample: Any = a_sampler.sample({"hypervisor": frozen, "container engine": answering(2, 5.0, box)})

    assert sample["stale"] == ["The hypervisor has not answered for 7 seconds."]
    assert [workload["uuid"] for workload in sample["workloads"]] == ["box"]


def test_the_same_reading_twice_is_stale_and_not_a_load_of_zero() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    reading = answering(1, 0.0, COUNTERS)
    a_sampler.sample({"hypervisor": reading})

    sample: Any = a_sampler.sample({"hypervisor": reading})

    assert sample["workloads"] == []
    assert sample["stale"] == ["The hypervisor gave no new numbers in time."]
