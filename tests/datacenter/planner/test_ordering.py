"""The order of moves: dependencies, cycles, limits per host."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datacenter.planner.model import DataCenter, Policy, Rule
from datacenter.planner.ordering import Ordered, order_moves
from datacenter.planner.problem import problem_of

from .worlds import PLAIN, host, vm, world


def order(data_center: DataCenter, policy: Policy = PLAIN, **goal: str) -> Ordered:
    rows = {machine.id: row for row, machine in enumerate(data_center.hosts)}
    problem = problem_of(data_center, policy)
    wanted = np.array([rows[goal.get(item.id, item.host)] for item in data_center.workloads])
    return order_moves(problem, wanted)


def test_a_move_waits_for_the_one_that_makes_its_room() -> None:
    data_center = world([host("h1"), host("h2"), host("h3")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])

    ordered = order(data_center, a="h2", b="h3")

    assert [(move.workload, move.target, move.after, move.wave) for move in ordered.moves] == [
        ("b", "h3", (), 1),
        ("a", "h2", ("m1",), 2),
    ]


def test_a_cycle_is_broken_by_parking_on_a_third_host() -> None:
    data_center = world([host("h1"), host("h2"), host("h3")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])

    ordered = order(data_center, a="h2", b="h1")

    assert not ordered.stuck
    assert len(ordered.moves) == 3
    assert ordered.moves[0].target == "h3"
    assert "waits on h3" in ordered.moves[0].reason


def test_a_cycle_without_room_anywhere_is_left_as_it_is_and_named() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])

    ordered = order(data_center, a="h2", b="h1")

    assert ordered.moves == ()
    assert ordered.stuck == (0, 1)


def test_no_round_has_more_moves_at_a_host_than_the_policy_allows() -> None:
    workloads = [vm(f"v{number}", "h1", cpu=0.1, memory=100) for number in range(7)]
    data_center = world([host("h1"), host("h2")], workloads)
    policy = replace(PLAIN, moves_in_per_host=3, moves_out_per_host=2)

    ordered = order(data_center, policy, **{item.id: "h2" for item in workloads})

    assert sorted(move.wave for move in ordered.moves) == [1, 1, 2, 2, 3, 3, 4]


def test_two_kept_apart_never_meet_while_one_leaves_and_the_other_comes() -> None:
    data_center = world([host("h1"), host("h2"), host("h3")], [vm("a", "h1"), vm("b", "h2")], Rule("r", ("a", "b")))

    ordered = order(data_center, a="h2", b="h3")

    assert [move.workload for move in ordered.moves] == ["b", "a"]
    assert ordered.moves[1].after == ("m1",)
