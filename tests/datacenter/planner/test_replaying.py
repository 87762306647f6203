"""Replays of recorded demand, small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner.model import DataCenter, Policy, Series
from datacenter.planner.replaying import Backtest, Happened, backtest
from datacenter.planner.waking import wake_and_plan
from hosts.errors import Invalid

from .worlds import PLAIN, host, vm, world

STRICT = replace(PLAIN, overload_risk=0.0)


def recorded(*cores: tuple[float, ...]) -> DataCenter:
    """One VM on each host, with that record."""
    hosts = [host(f"h{n}") for n in range(len(cores))]
    return world(hosts, [vm(f"v{n}", f"h{n}", series=Series(cpu_cores=one)) for n, one in enumerate(cores)])


def replayed(data_center: DataCenter, policy: Policy = STRICT, learn: int = 4, every: int = 4) -> Backtest:
    return backtest(data_center, policy, learn_hours=learn, every_hours=every)


def test_quiet_hosts_are_emptied_at_the_first_decision_and_the_energy_of_the_rest_is_counted() -> None:
    answer = replayed(recorded((2.0,) * 12, (2.0,) * 12))

    assert [hour.hosts_on for hour in answer.policy.hours] == [1] * 8
    assert (answer.policy.moves, answer.policy.overload_hours) == (1, 0)
    assert answer.policy.kwh == pytest.approx(8 * (80 + 4 / 8 * 120) / 1000)
    assert answer.happened.kwh == pytest.approx(8 * 2 * (80 + 2 / 8 * 120) / 1000)
    assert "8 host-hours instead of 16, 1 moves instead of 0" in answer.sentence


def test_a_decision_sees_the_past_only_so_new_demand_hurts_until_the_next_one() -> None:
    """Both rise from 2 to 6 cores in the hour after the plan: three hours over, then a host is woken."""
    rising = (2.0,) * 5 + (6.0,) * 7

    answer = replayed(recorded(rising, rising))

    assert [hour.hosts_on for hour in answer.policy.hours] == [1] * 4 + [2] * 4
    assert [hour.hosts_overloaded for hour in answer.policy.hours] == [0, 1, 1, 1, 0, 0, 0, 0]
    assert (answer.policy.moves, answer.happened.overload_hours) == (2, 0)


def test_a_policy_with_more_headroom_pays_with_hosts_and_is_overloaded_less() -> None:
    rising = (2.0,) * 5 + (4.5,) * 7
    bold, careful = STRICT, replace(STRICT, cpu_headroom=0.6)

    assert replayed(recorded(rising, rising), bold).policy.overload_hours == 3
    careful_replay = replayed(recorded(rising, rising), careful).policy
    assert careful_replay.overload_hours == 0
    assert careful_replay.host_hours > replayed(recorded(rising, rising), bold).policy.host_hours


def test_what_happened_is_counted_from_its_own_record() -> None:
    data_center = recorded((2.0,) * 6, (2.0,) * 6)
    apart = Happened({"v0": "h0", "v1": "h1"}, ("h0", "h1"))
    joined = Happened({"v0": "h0", "v1": "h0"}, ("h0",))

    answer = backtest(data_center, STRICT, learn_hours=4, every_hours=4, happened=(apart, joined))

    assert [(hour.hosts_on, hour.moves) for hour in answer.happened.hours] == [(2, 0), (1, 1)]


def test_too_short_a_record_is_refused() -> None:
    with pytest.raises(Invalid, match="There are 4 recorded hours; a backtest needs more than the 4 to learn from"):
        replayed(recorded((1.0,) * 4))
    with pytest.raises(Invalid, match="one recorded value for each hour"):
        replayed(replace(recorded((1.0,) * 8), series_per_hour=2))


def test_a_host_is_woken_only_where_the_limits_cannot_be_held_without_it() -> None:
    hosts = [host("h1"), host("h2", is_on=False), host("h3", cpu=16, is_on=False), host("h4", is_on=False)]
    quiet = world(hosts, [vm("a", "h1", cpu=3), vm("b", "h1", cpu=3)])
    busy = world(hosts, [vm("a", "h1", cpu=6), vm("b", "h1", cpu=6)])

    assert wake_and_plan(quiet, PLAIN).hosts == ()
    answer = wake_and_plan(busy, PLAIN)
    assert answer.hosts == ("h3",)
    assert answer.plan.placement_after["a"] == "h3" or answer.plan.placement_after["b"] == "h3"


def test_of_two_hosts_as_large_the_one_that_wakes_sooner_is_woken_and_the_time_is_told() -> None:
    slow, fast = host("h2", is_on=False, wake_s=90.0), host("h3", is_on=False, wake_s=20.0)
    busy = world([host("h1"), host("h0", is_on=False), slow, fast], [vm("a", "h1", cpu=6), vm("b", "h1", cpu=6)])

    answer = wake_and_plan(busy, PLAIN)

    assert (answer.hosts, answer.ready_s) == (("h3",), 20.0)
    assert wake_and_plan(world([host("h1")], []), PLAIN).ready_s == 0.0
