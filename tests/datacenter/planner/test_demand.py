"""Demand through time: what may share a host, at which risk, and what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import place, plan, verify_plan
from datacenter.planner.correlation import peaking_together
from datacenter.planner.model import DataCenter, Plan, Policy, Profile, Series
from datacenter.planner.room import Room
from hosts.errors import Invalid

from .worlds import PLAIN, host, vm, world

DAY = Series(cpu_cores=(6.0,) * 12 + (1.0,) * 12)
NIGHT = Series(cpu_cores=(1.0,) * 12 + (6.0,) * 12)
STRICT = replace(PLAIN, overload_risk=0.0)


def checked(data_center: DataCenter, policy: Policy = STRICT) -> Plan:
    result = plan(data_center, policy)
    assert verify_plan(data_center, policy, result) == []
    return result


def pair(first: Series | None, second: Series | None) -> DataCenter:
    return world([host("h1"), host("h2")], [vm("a", "h1", series=first), vm("b", "h2", series=second)])


def test_a_day_load_and_a_night_load_share_a_host_and_two_day_loads_do_not() -> None:
    assert checked(pair(DAY, NIGHT)).hosts_on_after == 1
    kept = checked(pair(DAY, DAY))

    assert kept.hosts_on_after == 2
    assert kept.lower_bound.hosts == 2
    assert "of CPU on Monday at 00:00 (step 1 of the record)" in kept.hosts_kept[0].sentence


def test_the_policys_risk_is_the_share_of_recorded_steps_that_may_be_over() -> None:
    """Two loads that meet above the host's eight cores in 2 of 100 steps, 2 %."""
    calm = Series(cpu_cores=(3.0,) * 98 + (5.0,) * 2)

    assert checked(pair(calm, calm), replace(PLAIN, overload_risk=0.02)).hosts_on_after == 1
    assert checked(pair(calm, calm), replace(PLAIN, overload_risk=0.019)).hosts_on_after == 2
    rare = checked(pair(calm, calm), replace(PLAIN, overload_risk=0.02))
    assert "capacity" in {v.rule for v in verify_plan(pair(calm, calm), replace(PLAIN, overload_risk=0.01), rare)}


def test_a_step_over_in_two_resources_counts_once_and_two_steps_count_twice() -> None:
    both = Series(cpu_cores=(1.0,) * 9 + (5.0,), memory_mib=(10.0,) * 9 + (5000.0,))
    apart = Series(cpu_cores=(1.0,) * 9 + (5.0,), memory_mib=(5000.0,) + (10.0,) * 9)
    policy = replace(PLAIN, overload_risk=0.1)

    assert checked(pair(both, both), policy).hosts_on_after == 1
    assert checked(pair(apart, apart), policy).hosts_on_after == 2


def test_the_bound_lets_each_host_pass_its_limit_as_often_as_the_risk_says() -> None:
    spike = Series(cpu_cores=(5.0,) * 5 + (0.1,) * 95)
    data_center = world([host(f"h{n}") for n in range(4)], [vm(f"v{n}", f"h{n}", series=spike) for n in range(4)])

    assert checked(data_center, replace(PLAIN, overload_risk=0.0)).lower_bound.hosts == 3  # 20 cores of 8 each
    assert checked(data_center, replace(PLAIN, overload_risk=0.02)).lower_bound.hosts == 3  # 2 hosts pass 4 of 5
    assert checked(data_center, replace(PLAIN, overload_risk=0.05)).hosts_on_after == 1


def test_a_workload_without_history_counts_by_its_allocation_all_the_time() -> None:
    assert checked(pair(DAY, None)).hosts_on_after == 1  # 6 + 1 of 8 cores
    big = replace(pair(DAY, None), workloads=(pair(DAY, None).workloads[0], vm("b", "h2", cpu=3)))

    assert checked(big).hosts_on_after == 2


def test_a_profile_beside_series_counts_by_the_hour_of_the_recorded_step() -> None:
    """Recorded from 12:00 to 24:00 in half hours; the profile is busy in the morning only."""
    morning = Profile(cpu_cores=tuple(6.0 if hour % 24 < 12 else 1.0 for hour in range(168)))
    busy = Series(cpu_cores=(6.0,) * 24)
    one = replace(pair(busy, None), series_start_hour=12, series_per_hour=2)
    one = replace(one, workloads=(one.workloads[0], vm("b", "h2", profile=morning)))

    assert checked(one).hosts_on_after == 1
    assert checked(replace(one, series_start_hour=0)).hosts_on_after == 2


@pytest.mark.parametrize(("risk", "hosts"), [(0.05, 1), (0.01, 2), (0.5, 1), (0.0, 2)])
def test_the_risk_picks_the_percentile_of_a_profile(risk: float, hosts: int) -> None:
    tail = Profile(cpu_cores=(3.0,) * 168, cpu_cores_p99=(5.0,) * 168)
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", profile=tail), vm("b", "h2", profile=tail)])

    assert checked(data_center, replace(PLAIN, overload_risk=risk)).hosts_on_after == hosts


def test_a_new_workload_is_placed_by_its_own_record() -> None:
    data_center = world([host("h1"), host("h2", cpu=2)], [vm("a", "h1", series=DAY)])

    assert place(data_center, STRICT, vm("new", "", cpu=1, series=NIGHT)).host == "h1"
    assert Room(data_center, STRICT).place(vm("new", "", cpu=1, series=NIGHT)).host == "h1"
    assert place(data_center, STRICT, vm("new", "", cpu=1, series=DAY)).host is None


def test_workloads_that_peak_together_are_named_and_others_are_not() -> None:
    data_center = world(
        [host("h1")],
        [
            vm("web", "h1", series=DAY),
            vm("db", "h1", series=Series(cpu_cores=(2.0,) * 12 + (0.5,) * 12)),
            vm("batch", "h1", series=NIGHT),
            vm("flat", "h1", series=Series(cpu_cores=(1.0,) * 24)),
            vm("new", "h1"),
        ],
    )

    (found,) = peaking_together(data_center)

    assert (found.first, found.second, found.correlation) == ("web", "db", 1.0)
    assert found.sentence == "web and db rise and fall together: correlation 1.00 over 24 recorded steps."


def test_series_of_different_length_are_refused() -> None:
    with pytest.raises(Invalid, match="cut all to the same time"):
        plan(pair(DAY, Series(cpu_cores=(1.0,) * 5)), PLAIN)
