"""What holds for every plan, whatever the data center."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datacenter.planner import evacuate, place, plan, unpack_and_plan, verify_plan, verify_unpacking
from datacenter.planner.data import from_data, to_data
from datacenter.planner.model import DataCenter, Plan, Policy, Resources, Workload

from .worlds import PLAIN, carrying, data_centers, host, policies, vm, world

many = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(many, max_examples=10)  # for those that plan several times


@many
@given(data_centers(), policies())
def test_every_plan_passes_the_verifier(data_center: DataCenter, policy: Policy) -> None:
    assert verify_plan(data_center, policy, plan(data_center, policy)) == []


@many
@given(data_centers(), policies())
def test_no_plan_is_worse_than_doing_nothing(data_center: DataCenter, policy: Policy) -> None:
    result = plan(data_center, policy)

    assert result.hosts_on_after <= result.hosts_on_before
    saves = {
        "hosts": False,
        "watts": result.watts_after < result.watts_before,
        "money": True,  # fewer licensed cores show in neither
    }[policy.objective]
    assert result.hosts_on_after < result.hosts_on_before or saves or result.warnings or not result.moves


@some
@given(data_centers(), policies())
def test_the_same_input_gives_the_same_plan(data_center: DataCenter, policy: Policy) -> None:
    assert plan(data_center, policy) == plan(data_center, policy)


@many
@given(data_centers(), policies())
def test_every_evacuation_passes_the_verifier_and_names_what_stays(data_center: DataCenter, policy: Policy) -> None:
    host = data_center.hosts[0]

    result = evacuate(data_center, policy, host.id)

    assert verify_plan(data_center, policy, result) == []
    left = [name for name, where in result.placement_after.items() if where == host.id]
    assert bool(left) == bool(result.refusals)


@many
@given(data_centers(), policies())
def test_a_placement_names_a_host_or_a_reason_for_each(data_center: DataCenter, policy: Policy) -> None:
    new = Workload("new", "vm", Resources(2, 2048, 5), anti_affinity=("a",))

    answer = place(data_center, policy, new)

    assert (answer.host is None) == (set(answer.why_not) == {host.id for host in data_center.hosts})
    assert all(sentence.endswith(".") and "None" not in sentence for sentence in answer.why_not.values())


def settled(data_center: DataCenter, result: Plan) -> DataCenter:
    """The data center once the plan is carried out."""
    workloads = tuple(replace(item, host=result.placement_after[item.id]) for item in data_center.workloads)
    hosts = tuple(
        replace(machine, is_on=machine.is_on and machine.id not in result.hosts_to_power_off)
        for machine in data_center.hosts
    )
    return replace(data_center, hosts=hosts, workloads=workloads)


@some
@given(data_centers(), policies())
def test_planning_again_after_a_plan_leaves_no_more_hosts_on(data_center: DataCenter, policy: Policy) -> None:
    result = plan(data_center, policy)

    again = plan(settled(data_center, result), policy)

    assert again.hosts_on_after <= result.hosts_on_after
    assert verify_plan(settled(data_center, result), policy, again) == []


@some
@given(st.integers(0, 59), st.sampled_from([0.5, 0.9, 1.3, 2.0]))
def test_a_small_change_gives_a_small_plan(changed: int, factor: float) -> None:
    hosts = [host(f"h{n}") for n in range(20)]
    guests = [vm(f"v{n}", f"h{n // 3}", cpu=0.3, memory=700 + 37 * (n % 11)) for n in range(60)]
    before = settled(world(hosts, guests), plan(world(hosts, guests), PLAIN))
    assert plan(before, PLAIN).moves == ()
    item = before.workloads[changed]
    memory = (item.allocation.memory_mib or 0) * factor
    resized = replace(item, allocation=replace(item.allocation, memory_mib=memory))

    result = plan(
        replace(before, workloads=(*before.workloads[:changed], resized, *before.workloads[changed + 1 :])), PLAIN
    )

    assert len(result.moves) <= 2


@some
@given(data_centers(), policies())
def test_plans_and_data_centers_survive_json(data_center: DataCenter, policy: Policy) -> None:
    result = plan(data_center, policy)

    assert from_data(Plan, json.loads(json.dumps(to_data(result)))) == result
    assert from_data(DataCenter, json.loads(json.dumps(to_data(data_center)))) == data_center
    assert from_data(Policy, json.loads(json.dumps(to_data(policy)))) == policy


@many
@given(carrying(), st.sampled_from([None, 3]), st.sampled_from([0, 1]))
def test_both_plans_pass_the_judge_whatever_is_carried_where(
    data_center: DataCenter, max_moves: int | None, failures: int
) -> None:
    policy = replace(PLAIN, max_moves=max_moves, survive_failures=failures)

    answer = unpack_and_plan(data_center, policy)

    assert verify_unpacking(data_center, policy, answer) == []
