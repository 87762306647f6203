"""N+k: losses survived at every step of a plan, by the planner's proof and by the judge's own reckoning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import plan, verify_plan
from datacenter.planner.model import DataCenter, Move, Plan, Policy

from .worlds import PLAIN, host, vm, world

ONE = replace(PLAIN, survive_failures=1)
RACK = replace(PLAIN, survive_rack=True)


def failures(data_center: DataCenter, policy: Policy, result: Plan) -> list[str]:
    found = verify_plan(data_center, policy, result)
    assert {violation.rule for violation in found} <= {"failures"}
    return [violation.sentence for violation in found]


def sparse(count: int, racks: int = 1, memory: float = 3000) -> DataCenter:
    """Hosts with one VM each, in racks of equal size."""
    hosts = [host(f"h{n}", site="s", rack=f"r{n * racks // count}") for n in range(count)]
    return world(hosts, [vm(f"v{n}", f"h{n}", memory=memory) for n in range(count)])


@pytest.mark.parametrize(("losses", "hosts"), [(0, 3), (1, 4), (2, 5)])
def test_each_loss_to_survive_keeps_one_host_more(losses: int, hosts: int) -> None:
    policy = replace(PLAIN, survive_failures=losses)

    result = plan(sparse(6), policy)

    assert result.hosts_on_after == hosts
    assert failures(sparse(6), policy, result) == []


def test_the_bound_counts_the_small_hosts_that_must_stay_on_as_small() -> None:
    """10,500 MiB must fit without the largest host: the pinned two give 2,000, so three large ones are needed."""
    small = [host(f"s{n}", memory=1000) for n in range(2)]
    large = [host(f"l{n}", memory=8000) for n in range(4)]
    pins = [vm(f"p{n}", f"s{n}", memory=500, pinned=True) for n in range(2)]
    data_center = world([*small, *large], [*pins, *(vm(f"v{n}", f"l{n}", memory=2500) for n in range(4))])

    result = plan(data_center, ONE)

    assert result.lower_bound.hosts == 5
    assert "when the 1 largest are lost" in result.lower_bound.sentence
    assert failures(data_center, ONE, result) == []


def test_a_host_and_the_standby_that_takes_over_for_it_may_be_lost_together() -> None:
    """One VM on four hosts: its host, the standby, and one more for the loss of both."""
    data_center = world([host(f"h{n}") for n in range(4)], [vm("a", "h0")])
    policy = replace(PLAIN, survive_failures=2)

    result = plan(data_center, policy)

    assert result.hosts_on_after == 3
    assert failures(data_center, policy, result) == []
    alone = replace(result, restart_after=())
    assert any("when h0 with" in sentence for sentence in failures(data_center, policy, alone))


def test_the_loss_of_a_rack_needs_as_much_room_elsewhere() -> None:
    data_center = sparse(6, racks=3)

    result = plan(data_center, RACK)

    rack_of = {machine.id: machine.rack for machine in data_center.hosts}
    assert result.hosts_to_power_off
    assert failures(data_center, RACK, result) == []
    for loss in result.restart_after:
        assert {rack_of[name] for name in loss.hosts}.isdisjoint({rack_of[name] for name in loss.restart_on.values()})
    assert failures(data_center, RACK, replace(result, restart_after=()))


def test_only_workloads_of_the_priority_asked_for_must_restart() -> None:
    hosts = [host(f"h{n}") for n in range(3)]
    guests = [vm("important", "h0", memory=3000, priority=9), vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)]
    data_center = world(hosts, guests)

    assert plan(data_center, ONE).hosts_on_after == 3
    result = plan(data_center, replace(ONE, survive_priority=9))

    assert result.hosts_on_after == 2
    assert set(result.restart_on) == {"important"}


def test_room_on_busy_hosts_is_enough_where_it_is_enough() -> None:
    """Four hosts with 2,000 of 8,192 MiB in use survive a loss on two of them, without an empty third."""
    result = plan(sparse(4, memory=2000), ONE)

    assert result.hosts_on_after == 2
    assert result.lower_bound.hosts == 2
    assert failures(sparse(4, memory=2000), ONE, result) == []


def test_a_restart_where_there_is_no_room_is_found() -> None:
    data_center = sparse(5)
    result = plan(data_center, ONE)
    fullest = max(set(result.placement_after.values()), key=list(result.placement_after.values()).count)
    crowded = replace(result, restart_on=dict.fromkeys(result.restart_on, fullest))

    assert failures(data_center, ONE, result) == []
    assert any("cannot take all that restarts there" in sentence for sentence in failures(data_center, ONE, crowded))
    assert any("has no host to restart on" in sentence for sentence in failures(data_center, ONE, crowded))


def test_a_loss_on_the_way_is_judged_with_all_that_is_and_all_that_comes() -> None:
    """While b is on its way from h2 to h3 both places are taken: c may restart on h2 only when b has left."""
    data_center = world(
        [host("h1", memory=4000), host("h2", memory=4000), host("h3", memory=4000), host("h4"), host("h5")],
        [vm("c", "h1", memory=3000), vm("b", "h2", memory=3000)],
    )
    honest = plan(data_center, ONE)
    late = replace(
        honest,
        moves=(Move("m1", "b", "h2", "h3", seconds=30.0),),
        placement_after={"c": "h1", "b": "h3"},
        restart_on={"c": "h2", "b": "h2"},
        restart_on_way={"c": "h2"},
        hosts_to_power_off=("h4", "h5"),
    )

    def sentences(result: Plan) -> set[str]:
        return {v.sentence for v in verify_plan(data_center, ONE, result) if v.rule == "failures"}

    assert sentences(late) == {"h2 cannot take all that restarts there without h1."}
    assert sentences(replace(late, restart_on_way={"c": "h4"})) == set()  # it is still on then


def test_hosts_that_losses_on_the_way_count_on_are_switched_off_last() -> None:
    assert plan(sparse(6), ONE).power_off_last
    assert not plan(sparse(6), PLAIN).power_off_last


def test_what_could_not_be_survived_before_either_is_told_and_does_not_stop_the_plan() -> None:
    """h0 is nearly full and nobody could take its VM; the other four are consolidated all the same."""
    hosts = [host("h0", memory=9000), *(host(f"h{n}", memory=4000) for n in range(1, 5)), host("h9", memory=9000)]
    guests = [vm("large", "h0", memory=8000), *(vm(f"v{n}", f"h{n}", memory=1000) for n in range(1, 5))]
    data_center = world(hosts, [*guests, vm("x", "h9", memory=2000)])

    result = plan(data_center, ONE)

    assert result.hosts_to_power_off
    assert result.unsurvived_on_way == (("h0",),)
    assert any("The loss of h0 could not be made good now" in warning for warning in result.warnings)
    assert failures(data_center, ONE, result) == []


def test_a_restart_beside_what_it_must_be_apart_from_is_found() -> None:
    data_center = sparse(4, memory=500)
    apart = replace(
        data_center,
        workloads=tuple(
            replace(item, anti_affinity=("g",) if item.id in ("v0", "v1") else ()) for item in data_center.workloads
        ),
    )
    result = plan(apart, ONE)
    homes = result.placement_after
    wrong = replace(result, restart_on=result.restart_on | {"v0": homes["v1"]})

    assert failures(apart, ONE, result) == []
    assert any("Rule g is broken when" in sentence for sentence in failures(apart, ONE, wrong))


def test_a_data_center_that_survives_no_loss_is_told_so_even_though_nothing_can_be_freed() -> None:
    result = plan(sparse(4, memory=7000), ONE)

    assert result.hosts_on_after == 4
    assert any("h0" in sentence and "restarted" in sentence for sentence in result.warnings)
    assert result.restart_on == {}


def test_hosts_that_are_all_needed_for_the_reserve_are_proved_to_be_enough() -> None:
    """Three hosts with 4,000 of 8,000 MiB: any one may be lost, and none may be switched off."""
    result = plan(sparse(3, memory=4000), ONE)

    assert result.hosts_on_after == 3
    assert set(result.restart_on) == {"v0", "v1", "v2"}
    assert result.warnings == ()
