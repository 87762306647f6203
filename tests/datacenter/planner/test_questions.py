"""The other questions: empty a rack, relieve, recover, what if, how many fit, what to buy, retire or resize."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import verify_plan
from datacenter.planner.evacuation import evacuate, evacuate_rack
from datacenter.planner.fitting import how_many_fit
from datacenter.planner.model import DataCenter, Profile, Resources, Rule, Series
from datacenter.planner.purchase import Offer, what_to_buy, what_to_retire
from datacenter.planner.recovery import recover, survives
from datacenter.planner.relieving import relieve
from datacenter.planner.sizing import right_sizes
from datacenter.planner.whatif import Changes, what_if
from hosts.errors import Invalid, NotFound

from .worlds import PLAIN, container, host, vm, world


def two_racks() -> DataCenter:
    """h1 and h2 in rack r1 with a VM each, h3 and h4 in r2, empty."""
    hosts = [host(f"h{n}", site="s", rack=f"r{(n + 1) // 2}") for n in (1, 2, 3, 4)]
    return world(hosts, [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])


def test_a_rack_is_emptied_into_the_other_one_never_into_itself() -> None:
    result = evacuate_rack(two_racks(), PLAIN, "s", "r1")

    assert set(result.placement_after.values()) == {"h3", "h4"}
    assert result.refusals == ()
    assert verify_plan(two_racks(), PLAIN, result) == []


def test_an_unknown_rack_is_said_to_be_unknown() -> None:
    with pytest.raises(NotFound, match="There is no host in rack r9 of site s"):
        evacuate_rack(two_racks(), PLAIN, "s", "r9")


def test_a_vm_that_carries_containers_is_emptied_like_a_host() -> None:
    carrier = host("the-vm", 2, 2048, has_hypervisor=False, inside="h1", idle_watts=0, peak_watts=0)
    data_center = world([host("h1"), host("h2"), carrier], [vm("the-vm", "h1"), container("c", "the-vm")])

    result = evacuate(data_center, PLAIN, "the-vm")

    assert [(move.workload, move.source) for move in result.moves] == [("c", "the-vm")]
    assert result.refusals == ()


def test_relief_moves_the_cheapest_workload_that_cures_and_nothing_else() -> None:
    guests = [vm("a", "h1", memory=6000), vm("b", "h1", memory=3000), vm("c", "h2", memory=500), vm("d", "h3")]
    data_center = world([host("h1"), host("h2"), host("h3")], guests)

    result = relieve(data_center, PLAIN, "h1")

    assert [move.workload for move in result.moves] == ["b"]
    assert (result.goal, result.hosts_to_power_off, result.refusals) == ("relieve", (), ())
    assert verify_plan(data_center, PLAIN, result) == []


def test_a_host_that_cannot_be_relieved_is_named_with_how_much_it_is_over() -> None:
    data_center = world([host("h1"), host("h2", memory=1000)], [vm("a", "h1", memory=9011)])

    assert relieve(data_center, PLAIN).refusals == ("h1 stays over its limits by 10%: nothing more can leave it.",)


def test_after_a_failure_the_most_important_restart_first_and_the_others_are_told_why_not() -> None:
    guests = [
        vm("low", "h1", memory=4000, priority=1),
        vm("high", "h1", memory=3000, priority=5),
        vm("tied", "h1", memory=100, pinned=True),
        vm("there", "h2", memory=4000),
    ]
    answer = recover(world([host("h1"), host("h2")], guests), PLAIN, ["h1"])

    assert answer.restart_on == {"high": "h2"}
    assert [item.sentence for item in answer.stays_down] == [
        "low stays down: low has nowhere to go: needs 4,000 MiB of memory, and h2 has 1,192 MiB free within "
        "the policy.",
        "tied stays down: tied is pinned to h1.",
    ]


def test_a_restart_ignores_those_that_are_down_and_heeds_those_that_run() -> None:
    guests = [vm("a", "h1"), vm("b", "h2"), vm("c", "h3")]
    data_center = world([host("h1"), host("h2"), host("h3")], guests, Rule("apart", ("a", "b", "c")))

    assert recover(data_center, PLAIN, ["h1"]).restart_on == {}
    assert recover(data_center, PLAIN, ["h1", "h2"]).restart_on == {}
    spread = replace(data_center, rules=(Rule("apart", ("a", "b")),))
    assert recover(spread, PLAIN, ["h1", "h2"]).restart_on == {"a": "h3"}


def test_whether_a_loss_is_survived_as_things_are_is_told_with_the_first_that_is_not() -> None:
    assert survives(two_racks(), PLAIN, 2).holds
    full = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])

    answer = survives(full, PLAIN)

    assert not answer.holds
    assert answer.sentence == "After the loss of h1, a could not be restarted anywhere."


def test_what_if_a_host_is_removed_tells_what_has_no_place_then() -> None:
    full = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])

    answer = what_if(full, PLAIN, Changes(remove_hosts=("h2",)))

    assert [item.workload for item in answer.unplaced] == ["b"]
    assert answer.sentence.endswith("and 1 workloads would have no place.")
    assert [item.id for item in answer.data_center.workloads] == ["a"]


def test_what_if_a_host_is_enlarged_and_a_workload_added_shows_both_plans() -> None:
    full = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000), vm("b", "h2", memory=5000)])
    changes = Changes(
        resize_hosts={"h1": Resources(8, 16384, 100)},
        resize_workloads={"a": Resources(1, 4000)},
        add_workloads=(vm("new", "", memory=2000),),
    )

    answer = what_if(full, PLAIN, changes)

    assert (answer.now.hosts_on_after, answer.then.hosts_on_after) == (2, 1)
    assert answer.then.placement_after == {"a": "h1", "b": "h1", "new": "h1"}
    assert answer.difference.hosts_freed_now == ("h2",)
    with pytest.raises(NotFound, match="There is no workload ghost"):
        what_if(full, PLAIN, Changes(remove_workloads=("ghost",)))


def test_how_many_more_like_this_fit_and_what_is_in_the_way_of_one_more() -> None:
    data_center = world([host("h1"), host("h2")], [vm("old", "h1", memory=1024)])

    answer = how_many_fit(data_center, PLAIN, vm("like", "", memory=3000))

    assert (answer.count, answer.on_hosts) == (4, {"h1": 2, "h2": 2})
    assert answer.sentence == "4 more like like fit; no host can take like 5 now."
    assert "needs 3,000 MiB of memory" in answer.why_not["h1"]
    assert how_many_fit(data_center, PLAIN, vm("like", "", memory=3000), most=2).count == 2


def test_the_cheapest_kind_of_host_that_takes_what_is_to_come_is_named_first() -> None:
    """Ten VMs of 3,000 MiB; two fit beside the one that is there; large hosts take five each, small ones two."""
    data_center = world([host("h1")], [vm("old", "h1", memory=1024)])
    new = [vm(f"n{n}", "", cpu=0.5, memory=3000) for n in range(10)]
    large = Offer(host("large", memory=16000, idle_watts=100), 5000.0)
    small = Offer(host("small", memory=7000, idle_watts=90), 1000.0)
    useless = Offer(host("tiny", memory=2000), 1.0)

    answers = what_to_buy(data_center, replace(PLAIN, price_per_kwh=0.0), new, [large, small, useless])

    assert [(answer.kind, answer.count, answer.at_least, answer.cost) for answer in answers] == [
        ("small", 4, 4, 4000.0),
        ("large", 2, 2, 10000.0),
    ]
    with pytest.raises(Invalid, match="at least one kind"):
        what_to_buy(data_center, PLAIN, new, [])


def test_nothing_is_bought_where_all_fits_already() -> None:
    (answer,) = what_to_buy(world([host("h1")], []), PLAIN, [vm("n", "")], [Offer(host("any"), 10.0)])

    assert (answer.count, answer.cost) == (0, 0.0)


def test_hosts_to_retire_are_those_the_plan_does_without_the_hungriest_first() -> None:
    hosts = [host("h1"), host("h2", idle_watts=90), host("h3", idle_watts=150), host("h4", is_on=False)]
    data_center = world(hosts, [vm("a", "h1"), vm("b", "h2"), vm("c", "h3")])

    answer = what_to_retire(data_center, PLAIN)

    assert len(answer.hosts) == 3
    assert answer.hosts[0] == "h3"
    assert "h4" in answer.hosts
    assert what_to_retire(world([host("h1")], [vm("a", "h1")]), PLAIN).sentence == "No host can be retired."


def test_right_sizes_tell_far_too_much_and_nearly_too_little_and_leave_the_rest_alone() -> None:
    guests = [
        vm("idle", "h1", cpu=8, memory=1024, series=Series(cpu_cores=(0.5, 1.2, 0.7))),
        vm("tight", "h1", cpu=2, memory=1024, profile=Profile(memory_mib=(1000.0,) * 168)),
        vm("right", "h1", cpu=2, memory=1024, observed_p95=Resources(1.5, 700)),
        vm("unknown", "h1", cpu=64),
    ]
    answers = right_sizes(world([host("h1")], guests), PLAIN)

    assert [(answer.workload, answer.resource, answer.better) for answer in answers] == [
        ("idle", "cpu_cores", 2.0),
        ("tight", "memory_mib", 1280.0),
    ]
    assert answers[0].sentence == (
        "Give idle 2 cores instead of 8: it uses 1.20 (peak of 3 recorded steps), and 25% on top is 1.50."
    )
