"""How long moves take, and plans that take too long or do not pay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import plan, verify_plan
from datacenter.planner.durations import move_seconds
from datacenter.planner.model import DataCenter

from .worlds import PLAIN, container, host, vm, world

SLOW = replace(PLAIN, migration_mib_s=100.0)


def ten_small_hosts() -> DataCenter:
    return world([host(f"h{n}") for n in range(10)], [vm(f"v{n}", f"h{n}", cpu=0.5, memory=700) for n in range(10)])


def test_an_idle_vm_takes_one_round_and_a_writing_one_takes_more_and_stands_still() -> None:
    idle, writing = vm("i", "h", memory=1000), vm("w", "h", memory=1000, dirty_mib_s=50.0)

    assert move_seconds(idle, SLOW) == (10.0, 0.0)
    assert move_seconds(writing, SLOW) == pytest.approx((10 + 5 + 2.5 + 1.25 + 0.625 + 0.3125 + 0.15625, 0.15625))


def test_a_vm_that_writes_faster_than_it_is_copied_still_arrives() -> None:
    seconds, blackout_s = move_seconds(vm("w", "h", memory=1000, dirty_mib_s=500.0), SLOW)

    assert 10 < seconds < 60
    assert blackout_s < 0.5


def test_a_container_stands_still_as_long_as_it_moves() -> None:
    assert move_seconds(container("c", "h", copy_gib=1.0), SLOW) == (12.24, 12.24)


def test_two_moves_into_a_host_run_at_once_and_the_third_waits() -> None:
    result = plan(ten_small_hosts(), SLOW)

    starts = sorted(move.starts_s for move in result.moves)
    assert starts[:4] == [0.0, 0.0, 7.0, 7.0]
    assert result.seconds == 7.0 * 5
    assert verify_plan(ten_small_hosts(), SLOW, result) == []


def test_a_plan_that_takes_too_long_becomes_a_smaller_one() -> None:
    policy = replace(SLOW, max_minutes=16 / 60)

    result = plan(ten_small_hosts(), policy)

    assert 0 < result.seconds <= 16
    assert 0 < len(result.hosts_to_power_off) < 9
    assert verify_plan(ten_small_hosts(), policy, result) == []


def test_nothing_moves_where_saving_what_it_costs_takes_too_long() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", copy_gib=1000.0), vm("b", "h2", copy_gib=1000.0)])
    day = replace(SLOW, move_watts=100.0, break_even_hours=24.0)

    assert plan(data_center, day).break_even_hours == pytest.approx(1025024 / 100 / 3600 * 100 / 80, rel=0.01)
    result = plan(data_center, replace(day, break_even_hours=1.0))

    assert result.moves == ()
    assert "only after 3" in result.refusals[0]


def test_a_false_timetable_is_found() -> None:
    right = plan(ten_small_hosts(), SLOW)
    rushed = replace(right, moves=tuple(replace(move, starts_s=0.0) for move in right.moves))

    assert {violation.rule for violation in verify_plan(ten_small_hosts(), SLOW, rushed)} == {"times"}
