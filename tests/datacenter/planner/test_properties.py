"""What holds for every plan, whatever the data center."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings

from datacenter.planner import evacuate, place, plan, verify_plan
from datacenter.planner.data import from_data, to_data
from datacenter.planner.model import DataCenter, Plan, Policy, Resources, Workload

from .worlds import data_centers, policies

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(data_centers(), policies())
def test_every_plan_passes_the_verifier(data_center: DataCenter, policy: Policy) -> None:
    assert verify_plan(data_center, policy, plan(data_center, policy)) == []


@many
@given(data_centers(), policies())
def test_no_plan_is_worse_than_doing_nothing(data_center: DataCenter, policy: Policy) -> None:
    result = plan(data_center, policy)

    assert result.hosts_on_after <= result.hosts_on_before
    saves_watts = policy.objective == "watts" and result.watts_after < result.watts_before
    assert result.hosts_on_after < result.hosts_on_before or saves_watts or result.warnings or not result.moves


@many
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


@many
@given(data_centers(), policies())
def test_plans_and_data_centers_survive_json(data_center: DataCenter, policy: Policy) -> None:
    result = plan(data_center, policy)

    assert from_data(Plan, json.loads(json.dumps(to_data(result)))) == result
    assert from_data(DataCenter, json.loads(json.dumps(to_data(data_center)))) == data_center
    assert from_data(Policy, json.loads(json.dumps(to_data(policy)))) == policy
