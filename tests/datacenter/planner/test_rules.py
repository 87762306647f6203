"""Rules: licences, places near storage, groups together and apart, hours without moves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import place, plan, verify_plan
from datacenter.planner.model import DataCenter, Licence, Move, Plan, Policy, Resources, Rule

from .worlds import PLAIN, container, host, vm, world


def checked(data_center: DataCenter, policy: Policy = PLAIN) -> Plan:
    """The plan, which the verifier must pass."""
    result = plan(data_center, policy)
    assert verify_plan(data_center, policy, result) == []
    return result


def racks(*workloads: object, rules: tuple[Rule, ...] = ()) -> DataCenter:
    """h1 and h2 in rack r1, h3 and h4 in r2, of one site."""
    hosts = [host(f"h{n}", site="s", rack=f"r{(n + 1) // 2}") for n in (1, 2, 3, 4)]
    return world(hosts, list(workloads), *rules)  # type: ignore[arg-type]


def test_a_licensed_workload_stays_on_hosts_that_its_licence_covers() -> None:
    data_center = world([host("h1"), host("h2", licences=("oracle",))], [vm("a", "h1"), vm("b", "h2", 1, 2048)])
    licensed = replace(data_center.workloads[1], licences=("oracle",))
    data_center = replace(data_center, workloads=(data_center.workloads[0], licensed))

    assert checked(data_center).hosts_to_power_off == ("h1",)
    refused = place(replace(data_center, hosts=data_center.hosts[:1], workloads=()), PLAIN, licensed)
    assert refused.why_not == {"h1": "the licence of oracle does not cover h1."}


def test_under_money_a_licensed_workload_joins_another_although_no_host_is_freed() -> None:
    hosts = [host(name, licences=("db",)) for name in ("h1", "h2")]
    fixed = [vm(f"p{name}", name, pinned=True) for name in ("h1", "h2")]
    data_center = world(hosts, [*fixed, vm("a", "h1", licences=("db",)), vm("b", "h2", licences=("db",))])
    policy = replace(PLAIN, objective="money", licences=(Licence("db", 1000.0),))

    result = checked(data_center, policy)

    assert len({result.placement_after["a"], result.placement_after["b"]}) == 1
    assert checked(data_center).moves == ()


def test_a_workload_stays_near_its_storage() -> None:
    data_center = racks(vm("a", "h1", within=("s/r1",)), vm("b", "h3", memory=2048))

    assert checked(data_center).placement_after["a"] != "h3"
    assert "near its storage" in place(data_center, PLAIN, vm("new", "", within=("t",))).why_not["h1"]


def test_those_to_keep_together_never_leave_their_rack_and_a_stray_comes_to_them() -> None:
    rule = Rule("cell", ("a", "b", "c"), "together", "rack")
    data_center = racks(vm("a", "h1"), vm("b", "h2"), vm("c", "h3"), vm("x", "h4", memory=7000), rules=(rule,))

    result = checked(data_center)

    assert {result.placement_after[name] for name in "ab"} <= {"h1", "h2"}
    stray = with_move(result, Move("m1", "a", "h1", "h4"))
    assert "cell" in {violation.rule for violation in verify_plan(data_center, PLAIN, stray)}


def with_move(result: Plan, move: Move) -> Plan:
    return replace(result, moves=(move,), placement_after=result.placement_before | {move.workload: move.target})


def test_a_broken_rule_is_mended_by_the_cheapest_move_even_if_no_host_is_freed() -> None:
    rule = Rule("apart", ("a", "b"))
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", memory=4000), vm("b", "h1"), vm("c", "h2")], rule)

    result = checked(data_center)

    assert [(move.workload, move.target) for move in result.moves] == [("b", "h2")]
    assert result.warnings == ("Rule apart is broken now: a, b are in one host.",)


def test_a_group_is_spread_over_as_many_racks_as_its_rule_asks_for() -> None:
    rule = Rule("zones", ("a", "b", "c"), "spread", "rack", at_least=2)
    data_center = racks(vm("a", "h1"), vm("b", "h1"), vm("c", "h2"), vm("x", "h4", pinned=True), rules=(rule,))

    result = checked(data_center)

    assert {result.placement_after[name] in ("h3", "h4") for name in "abc"} == {True, False}


@pytest.mark.parametrize(("start", "minutes", "moves"), [(6, 60, 1), (6, 61, 0), (7, 1, 0), (11, 60, 0), (12, 60, 1)])
def test_nothing_moves_while_it_must_not_wherever_in_its_first_hour_the_plan_starts(
    start: int, minutes: float, moves: int
) -> None:
    closed = vm("a", "h1", no_move_hours=(8, 9, 10, 11))
    data_center = world([host("h1"), host("h2")], [closed, vm("b", "h2", pinned=True)])

    result = checked(data_center, replace(PLAIN, start_hour=start, max_minutes=minutes))

    assert len(result.moves) == moves
    said = " ".join(kept.sentence for kept in result.hosts_kept)
    assert moves or "a must not be moved on Monday from" in said


def test_the_hours_without_moves_run_over_the_end_of_the_week() -> None:
    closed = vm("a", "h1", no_move_hours=(0,))
    data_center = world([host("h1"), host("h2")], [closed, vm("b", "h2", pinned=True)])

    assert checked(data_center, replace(PLAIN, start_hour=167, max_minutes=60.0)).moves == ()
    assert len(checked(data_center, replace(PLAIN, start_hour=1, max_minutes=60.0)).moves) == 1


def test_a_host_with_closed_hours_takes_nothing_and_gives_nothing_away() -> None:
    closed = host("h2", no_move_hours=(8, 9))
    data_center = world([host("h1"), closed, host("h3")], [vm("a", "h1"), vm("b", "h2"), vm("c", "h3")])

    result = checked(data_center, replace(PLAIN, start_hour=8, max_minutes=60.0))

    assert {move.workload for move in result.moves} <= {"a", "c"}
    assert "h2" not in {move.target for move in result.moves}
    said = " ".join(kept.sentence for kept in result.hosts_kept)
    assert "nothing may move to h2 or away on Monday from 08:00 to 09:00" in said
    assert len(checked(data_center, replace(PLAIN, start_hour=12, max_minutes=60.0)).hosts_to_power_off) == 2


def test_a_container_goes_to_its_own_kernel_while_a_vm_brings_one() -> None:
    hosts = [host("h1"), host("h2", kernel="windows")]
    both = [vm("a", "h1", kernel="linux"), container("c", "h1", kernel="linux"), vm("b", "h2", 1, 5000)]

    result = checked(world(hosts, both))

    assert result.placement_after == {"a": "h1", "c": "h1", "b": "h1"}
    new = container("n", "", 7, 100, kernel="windows")
    answer = place(world([hosts[0]], []), PLAIN, new)
    assert answer.host is None
    assert answer.why_not["h1"] == "n shares its host's kernel and needs windows; h1 runs linux."


def test_what_must_fit_into_one_numa_node_stays_off_hosts_with_smaller_ones() -> None:
    small, large = Resources(4, 4096), Resources(16, 16384)
    hosts = [host("h1", 32, 32768, numa_node=large), host("h2", 16, 16384, numa_node=small)]
    wide = vm("a", "h1", 8, 2048, in_one_numa_node=True)

    result = checked(world(hosts, [wide, vm("b", "h2")]))

    assert result.hosts_to_power_off == ("h2",)
    assert place(world([hosts[1]], []), PLAIN, replace(wide, host="")).host is None
