from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datacenter.metrics.table import HOST_BY_KEY, WORKLOAD_BY_KEY
from hosts.drivers.base import WorkloadCounters
from hosts.plane.half import HalfReading, HalfState
from hosts.plane.machine import MachineCapacity, MachineUse
from hosts.plane.sampler import ROW_KEYS, CpuRates, Sampler
from hosts.plane.watched import Watched

COUNTERS = WorkloadCounters(
    "vm", "vm-1", "web", 10.0, 128.0, cpu_allotted_cores=2.0, disk_read_bytes_total=1, network_sent_bytes_total=4
)


class ScriptedMachine:
    """A machine whose readings were written down before."""

    def __init__(self, *uses: tuple[float, float]) -> None:
        self._uses = list(uses)

    def read(self) -> MachineUse:
        at, cpu_seconds_total = self._uses.pop(0)
        return MachineUse(at, cpu_seconds_total, 1000.0, None)


def sampler(machine: ScriptedMachine) -> Sampler:
    return Sampler("alpha", machine, lambda: MachineCapacity(4, 4096, 40.0), lambda: 7.5, lambda: 1700.0, lambda: 3)


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


def sample(of: Sampler, **halves: HalfState) -> Any:
    return of.sample([of.counted(name, half) for name, half in halves.items()])


def test_the_first_look_gives_no_sample() -> None:
    assert sampler(ScriptedMachine((0.0, 0.0))).sample([]) is None


def test_a_sample_has_the_contracts_fields() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    sample(a_sampler, hypervisor=answering(1, 0.0, COUNTERS))
    later = replace(COUNTERS, cpu_seconds_total=12.5)

    assert sample(a_sampler, hypervisor=answering(2, 5.0, later)) == {
        "host": "alpha",
        "at": 1700.0,
        "host_sample": {
            "cpu_used_cores": 2.0,
            "cpu_used_ratio": 0.5,
            "cpu_capacity_cores": 4,
            "cpu_seconds_total": 10.0,
            "memory_used_mib": 1000.0,
            "memory_used_ratio": 0.2441,
            "memory_capacity_mib": 4096,
            "disk_used_gib": 7.5,
            "disk_capacity_gib": 40.0,
            "load_1m": 2.0,
            "samples_dropped_total": 3,
        },
        "host_parts": {},
        "workloads": [
            {
                "kind": "vm",
                "keys": [
                    "cpu_used_cores",
                    "cpu_used_ratio",
                    "cpu_seconds_total",
                    "memory_used_mib",
                    "cpu_allotted_cores",
                    "disk_read_bytes_total",
                    "network_sent_bytes_total",
                ],
                "rows": [["vm-1", 0.5, 0.25, 12.5, 128.0, 2.0, 1, 4]],
            }
        ],
        "stale": [],
    }


def test_every_key_of_a_sample_is_in_the_table_of_metrics() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    a_sampler.sample([])

    assert set(ROW_KEYS) == set(WORKLOAD_BY_KEY)
    assert set(sample(a_sampler)["host_sample"]) <= set(HOST_BY_KEY)


def test_a_half_that_does_not_answer_leaves_a_sentence_and_the_other_half_counts_on() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    frozen = HalfState(False, "The hypervisor has not answered for 7 seconds.", HalfReading())
    box = replace(COUNTERS, kind="container", uuid="box")
    sample(a_sampler, hypervisor=frozen, engine=answering(1, 0.0, box))

    told = sample(a_sampler, hypervisor=frozen, engine=answering(2, 5.0, box))

    assert told["stale"] == ["The hypervisor has not answered for 7 seconds."]
    assert [(table["kind"], table["rows"][0][0]) for table in told["workloads"]] == [("container", "box")]


def test_the_same_reading_twice_is_stale_and_not_a_load_of_zero() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0)))
    reading = answering(1, 0.0, COUNTERS)
    sample(a_sampler, hypervisor=reading)

    told = sample(a_sampler, hypervisor=reading)

    assert told["workloads"] == []
    assert told["stale"] == ["The hypervisor gave no new numbers in time."]


def test_a_glance_has_only_what_is_watched_and_forgets_nobody() -> None:
    a_sampler = sampler(ScriptedMachine((0.0, 0.0), (5.0, 10.0), (6.0, 12.0), (10.0, 20.0)))
    other = replace(COUNTERS, uuid="vm-2")
    frozen = HalfState(False, "The container engine sleeps.", HalfReading())
    sample(a_sampler, hypervisor=answering(1, 0.0, COUNTERS, other), engine=frozen)
    sample(a_sampler, hypervisor=answering(2, 5.0, COUNTERS, other), engine=frozen)
    busy = replace(COUNTERS, cpu_seconds_total=11.0)

    look = a_sampler.counted("hypervisor", answering(3, 6.0, busy, other))
    glance: Any = a_sampler.sample([look], Watched(False, frozenset({"vm-1"})))
    told = sample(a_sampler, hypervisor=answering(4, 10.0, busy, replace(other, cpu_seconds_total=15.0)), engine=frozen)

    assert [row[:2] for row in glance["workloads"][0]["rows"]] == [["vm-1", 1.0]]
    assert glance["stale"] == ["The container engine sleeps."]
    assert [row[:2] for row in told["workloads"][0]["rows"]] == [["vm-1", 0.0], ["vm-2", 1.0]]
