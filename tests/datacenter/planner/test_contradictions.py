"""Infeasible input is said to be infeasible, and nothing in the reason can be left out."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from datacenter.planner.contradictions import feasibility
from datacenter.planner.grouping import domain_of
from datacenter.planner.model import DataCenter, Host, Rule, Workload

from .worlds import PLAIN, host, vm, world


@st.composite
def tiny(draw: st.DrawFn) -> DataCenter:
    """Up to three hosts in two racks and five workloads with pins and rules: small enough to try every placement."""
    hosts = [
        host(f"h{n}", memory=draw(st.sampled_from([4000, 8000])), site="s", rack=draw(st.sampled_from(["r1", "r2"])))
        for n in range(draw(st.integers(1, 3)))
    ]
    guests = [
        vm(
            f"w{n}",
            draw(st.sampled_from(hosts)).id,
            memory=draw(st.sampled_from([1500, 2500, 5000])),
            pinned=draw(st.integers(0, 3)) == 0,
        )
        for n in range(draw(st.integers(1, 5)))
    ]
    rules = []
    for number in range(draw(st.integers(0, 2))):
        members = draw(st.lists(st.sampled_from([item.id for item in guests]), min_size=1, max_size=3, unique=True))
        kind = draw(st.sampled_from(["apart", "spread", "together"]))
        rules.append(Rule(f"r{number}", tuple(members), kind, draw(st.sampled_from(["host", "rack"])), 2))
    return world(hosts, guests, *rules)


def some_placement(hosts: tuple[Host, ...], workloads: list[Workload], rules: list[Rule]) -> bool:
    """Whether any of all placements keeps memory and rules, by trying them."""
    for chosen in product(hosts, repeat=len(workloads)):
        at = {item.id: machine for item, machine in zip(workloads, chosen, strict=True)}
        if any(item.pinned and at[item.id].id != item.host for item in workloads):
            continue
        used = {machine.id: 0.0 for machine in hosts}
        for item in workloads:
            used[at[item.id].id] += item.allocation.memory_mib or 0.0
        if all(used[m.id] <= (m.capacity.memory_mib or 0.0) for m in hosts) and all(holds(rule, at) for rule in rules):
            return True
    return False


def holds(rule: Rule, at: dict[str, Host]) -> bool:
    places = [domain_of(at[name], rule.scope) for name in rule.workloads if name in at]
    return {
        "apart": len(set(places)) == len(places),
        "spread": len(set(places)) >= min(rule.at_least, len(places)),
        "together": len(set(places)) <= 1,
    }[rule.kind]


@settings(max_examples=40, deadline=None)
@given(tiny())
def test_the_verdict_is_that_of_trying_every_placement_and_its_reason_is_minimal(data_center: DataCenter) -> None:
    answer = feasibility(data_center, PLAIN)

    everything, rules = list(data_center.workloads), list(data_center.rules)
    assert (answer.verdict == "feasible") == some_placement(data_center.hosts, everything, rules)
    if answer.verdict == "feasible":
        return
    core = [item for item in everything if item.id in answer.workloads]
    kept = [rule for rule in rules if rule.name in answer.rules]
    assert not some_placement(data_center.hosts, core, kept)
    for item in core:
        assert some_placement(data_center.hosts, [other for other in core if other is not item], kept)
    for rule in kept:
        assert some_placement(data_center.hosts, core, [other for other in kept if other is not rule])


def test_one_that_is_too_large_for_every_host_is_the_whole_reason() -> None:
    data_center = world(
        [host("h1"), host("h2")], [vm("big", "h1", memory=9000), *(vm(f"v{n}", "h2") for n in range(3))]
    )

    answer = feasibility(data_center, PLAIN)

    assert (answer.verdict, answer.workloads, answer.rules) == ("infeasible", ("big",), ())
    assert "needs 9,000 MiB of memory, and h1 has 8,192 MiB free within the policy" in answer.sentence


def test_more_kept_apart_than_there_are_hosts_names_the_rule() -> None:
    guests = [vm("a", "h1"), vm("b", "h2"), vm("c", "h2"), vm("d", "h1")]
    answer = feasibility(world([host("h1"), host("h2")], guests, Rule("trio", ("a", "b", "c"))), PLAIN)

    assert (answer.workloads, answer.rules) == (("a", "b", "c"), ("trio",))
    assert answer.sentence.startswith("a, b, c cannot all be placed under rule trio: ")


def test_a_large_data_center_that_needs_more_than_it_has_is_infeasible_without_an_exact_search() -> None:
    hosts = [host(f"h{n}") for n in range(100)]
    guests = [vm(f"v{n}", f"h{n // 3}", cpu=0.1, memory=2800) for n in range(300)]

    answer = feasibility(world(hosts, guests), PLAIN)

    assert answer.verdict == "infeasible"
    assert len(answer.workloads) == 293  # 293 x 2,800 is the first sum above 100 x 8,192
    assert feasibility(world(hosts, guests[:200]), PLAIN).verdict == "feasible"
