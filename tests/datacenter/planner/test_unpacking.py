"""VMs that carry containers: emptied where that frees a host, and never for nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datacenter.planner import plan, unpack_and_plan, verify_unpacking
from datacenter.planner.model import DataCenter, Policy, Rule, Unpacking
from hosts.errors import Invalid

from .worlds import PLAIN, carrier, container, host, vm, world


def three_hosts(*containers: Any, **policy: Any) -> tuple[DataCenter, Policy]:
    """Each host holds a VM of 6 cores; that of h3 does but carry containers."""
    hosts = [host("h1"), host("h2"), host("h3"), carrier("c3", "h3")]
    machines = [vm("a", "h1", 4), vm("b", "h2", 4), vm("c3", "h3", 4, 4096)]
    return world(hosts, [*machines, *containers]), replace(PLAIN, **policy)


def checked(data_center: DataCenter, policy: Policy) -> Unpacking:
    answer = unpack_and_plan(data_center, policy)
    assert verify_unpacking(data_center, policy, answer) == []
    return answer


def test_a_vm_is_emptied_when_its_containers_alone_fit_where_it_does_not() -> None:
    small = [container(f"n{number}", "c3", 0.25) for number in range(4)]
    data_center, policy = three_hosts(*small, max_moves=None)
    data_center = replace(data_center, workloads=(*data_center.workloads, vm("d", "h1", 4), vm("e", "h2", 2)))

    answer = checked(data_center, policy)

    assert answer.emptying.hosts_to_power_off == ("c3",)
    assert {move.source for move in answer.emptying.moves} == {"c3"}
    assert answer.consolidation.hosts_to_power_off == ("h3",)
    assert "c3" not in answer.consolidation.placement_after


def test_a_vm_that_can_move_with_all_it_carries_is_not_emptied() -> None:
    data_center, policy = three_hosts(container("n", "c3"))

    answer = checked(data_center, policy)

    assert (answer.emptying.moves, answer.emptying.hosts_to_power_off) == ((), ())
    assert answer.consolidation.hosts_on_after == 2


def test_a_vm_that_does_more_than_carry_is_never_emptied() -> None:
    data_center, policy = three_hosts(container("n", "c3", 0.25))
    busy = replace(data_center, workloads=(*data_center.workloads, vm("d", "h1", 4), vm("e", "h2", 2)))
    hosts = tuple(replace(item, can_power_off=not item.inside) for item in busy.hosts)

    answer = checked(replace(busy, hosts=hosts), policy)

    assert answer.emptying.moves == ()
    assert answer.consolidation.hosts_on_after == 3


def test_what_is_kept_apart_stays_apart_whether_a_vm_carries_it_or_not() -> None:
    data_center, policy = three_hosts(
        container("n", "c3", anti_affinity=("web",)), container("m", "h1", anti_affinity=("web",))
    )

    answer = checked(data_center, policy)

    places = answer.consolidation.placement_after
    assert places.get("n", places.get("c3")) != places["m"]


def test_rules_by_name_hold_for_the_vm_that_carries_their_members() -> None:
    data_center, policy = three_hosts(container("n", "c3"))
    rule = Rule("near", ("n", "b"), "apart")

    answer = checked(replace(data_center, rules=(rule,)), policy)

    places = answer.consolidation.placement_after
    assert places.get("n", places.get("c3")) != places["b"]


def test_the_budget_is_shared_by_both_plans() -> None:
    small = [container(f"n{number}", "c3", 0.25) for number in range(4)]
    data_center, policy = three_hosts(*small, max_moves=3)
    data_center = replace(data_center, workloads=(*data_center.workloads, vm("d", "h1", 4), vm("e", "h2", 2)))

    answer = checked(data_center, policy)

    assert len(answer.emptying.moves) + len(answer.consolidation.moves) <= 3


def test_a_plan_that_knows_of_one_level_only_refuses_both() -> None:
    data_center, policy = three_hosts(container("n", "c3"))

    with pytest.raises(Invalid, match="c3 is a VM and a host of containers at once; ask unpack_and_plan"):
        plan(data_center, policy)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"inside": "h9"}, "Host c3 is inside h9, which is no machine of the inventory"),
        ({"inside": "h1"}, "Host c3 is inside h1, where there is no VM of its id"),
        ({"rack": "r7"}, "Host c3 must have the site and rack of h3"),
        ({"peak_watts": 9}, "Host c3 is a VM: it carries containers only"),
    ],
)
def test_a_carrier_that_makes_no_sense_is_refused(fields: dict[str, Any], sentence: str) -> None:
    data_center, policy = three_hosts(container("n", "c3"))
    hosts = tuple(replace(item, **fields) if item.id == "c3" else item for item in data_center.hosts)

    with pytest.raises(Invalid, match=sentence):
        unpack_and_plan(replace(data_center, hosts=hosts), policy)
