"""The verifier must find what a wrong plan does wrong: each test breaks a right one."""

from __future__ import annotations

from dataclasses import replace

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter, Move, Plan, Rule

from .worlds import PLAIN, host, vm, world


def rules_broken(data_center: DataCenter, wrong: Plan) -> set[str]:
    return {violation.rule for violation in verify_plan(data_center, PLAIN, wrong)}


def with_moves(right: Plan, *moves: Move) -> Plan:
    after = right.placement_before | {move.workload: move.target for move in moves}
    return replace(right, moves=moves, placement_after=after)


def test_an_overfilled_target_is_found() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])
    right = plan(data_center, PLAIN)

    assert "capacity" in rules_broken(data_center, with_moves(right, Move("m1", "b", "h2", "h1")))


def test_a_swap_that_needs_room_twice_is_found_although_its_end_fits() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])
    right = plan(data_center, PLAIN)
    swap = with_moves(right, Move("m1", "a", "h1", "h2"), Move("m2", "b", "h2", "h1", after=("m1",), wave=2))

    assert "capacity" in rules_broken(data_center, swap)


def test_a_missing_wait_is_found_because_moves_run_in_parallel() -> None:
    data_center = world([host("h1"), host("h2"), host("h3")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])
    right = plan(data_center, PLAIN)
    first, second = Move("m1", "a", "h1", "h3"), Move("m2", "b", "h2", "h1", wave=2)

    assert "capacity" in rules_broken(data_center, with_moves(right, first, second))
    assert "capacity" not in rules_broken(data_center, with_moves(right, first, replace(second, after=("m1",))))


def test_broken_anti_affinity_pins_and_closed_hosts_are_found() -> None:
    data_center = world(
        [host("h1"), host("h2"), host("h3", accepts_work=False)],
        [vm("a", "h1"), vm("b", "h2"), vm("c", "h2", pinned=True)],
        Rule("r", ("a", "b")),
    )
    right = plan(data_center, PLAIN)

    assert "r" in rules_broken(data_center, with_moves(right, Move("m1", "a", "h1", "h2")))
    assert "fixed" in rules_broken(data_center, with_moves(right, Move("m1", "c", "h2", "h1")))
    assert "compatible" in rules_broken(data_center, with_moves(right, Move("m1", "a", "h1", "h3")))


def test_switching_off_a_host_with_work_or_a_false_claim_is_found() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1"), vm("b", "h2", pinned=True)])
    right = plan(data_center, PLAIN)

    assert verify_plan(data_center, PLAIN, right) == []
    assert "power" in rules_broken(data_center, replace(right, hosts_to_power_off=("h2",)))
    assert "watts" in rules_broken(data_center, replace(right, watts_after=1.0))
    assert "reasons" in rules_broken(data_center, replace(right, hosts_kept=()))
    assert "bound" in rules_broken(data_center, replace(right, lower_bound=replace(right.lower_bound, hosts=2)))
