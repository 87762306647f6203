"""Even load with few moves, and the search under it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings

from datacenter.planner import balance, verify_plan
from datacenter.planner.leveling import Load, level, score_of
from datacenter.planner.model import DataCenter, Rule

from .worlds import PLAIN, data_centers, host, vm, world


def crowded() -> DataCenter:
    """Eight VMs on one host, two hosts empty."""
    return world([host("a"), host("b"), host("c")], [vm(f"v{number}", "a") for number in range(8)])


def test_a_crowd_on_one_host_is_spread_over_all() -> None:
    plan = balance(crowded(), replace(PLAIN, max_moves=6))

    counts = sorted(list(plan.placement_after.values()).count(name) for name in "abc")
    assert counts == [2, 3, 3]
    assert plan.goal == "balance"
    assert not plan.hosts_to_power_off
    assert verify_plan(crowded(), PLAIN, plan) == []


def test_no_more_moves_are_made_than_the_policy_allows() -> None:
    assert len(balance(crowded(), replace(PLAIN, max_moves=2)).moves) == 2
    assert len(balance(crowded(), replace(PLAIN, max_moved_gib=3.5)).moves) <= 3


def test_an_even_data_center_is_left_alone() -> None:
    even = world([host("a"), host("b")], [vm("v1", "a"), vm("v2", "b")])

    assert balance(even, PLAIN).moves == ()


def test_what_is_pinned_or_under_a_rule_stays_and_a_closed_host_gets_nothing() -> None:
    items = [vm("pinned", "a", pinned=True), vm("ruled", "a"), *(vm(f"v{number}", "a") for number in range(4))]
    hosts = [host("a"), host("b"), host("closed", accepts_work=False)]
    data_center = world(hosts, items, Rule("apart", ("ruled", "v0")))

    plan = balance(data_center, replace(PLAIN, max_moves=6))

    assert plan.placement_after["pinned"] == plan.placement_after["ruled"] == "a"
    assert "closed" not in plan.placement_after.values()


@settings(max_examples=15, deadline=None)
@given(data_centers())
def test_no_plan_breaks_a_rule_or_leaves_a_host_over_its_limits(data_center: DataCenter) -> None:
    assert verify_plan(data_center, PLAIN, balance(data_center, PLAIN)) == []


def random_load(with_replicas: bool, seed: int = 1) -> Load:
    random = np.random.default_rng(seed)
    home = random.integers(0, 6, 60)
    need = np.column_stack([random.integers(1, 9, 60), np.ones(60)]).astype(float)
    size = np.column_stack([np.full(6, 100.0), np.ones(6)])
    return Load(
        need,
        size,
        np.column_stack([np.full(6, 90.0), np.full(6, np.inf)]),
        np.array([1.0, 2.0]),
        home,
        np.ones(60, dtype=bool),
        np.zeros(60, dtype=np.int64),
        np.ones((1, 6), dtype=bool),
        (home + random.integers(1, 6, 60)) % 6 if with_replicas else None,
    )


def test_more_moves_never_leave_the_load_more_uneven() -> None:
    load = random_load(with_replicas=False)

    scores = [score_of(load, level(load, moves)) for moves in (0, 3, 10)]

    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.1 * scores[0]


def test_a_workload_with_a_replica_goes_nowhere_but_there() -> None:
    load = random_load(with_replicas=True)
    assert load.standby is not None

    found = level(load, 15)

    moved = found != load.home
    assert 0 < moved.sum() <= 15
    assert (found[moved] == load.standby[moved]).all()
    assert score_of(load, found) < score_of(load, load.home)


def test_the_score_of_one_move_is_that_of_the_deviations() -> None:
    load = random_load(with_replicas=False)
    use = np.zeros((6, 2))
    np.add.at(use, load.home, load.need)

    expected = ((use / load.size).std(axis=0) * load.weight).sum()

    assert abs(score_of(load, load.home) - expected) < 1e-9
