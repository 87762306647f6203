"""Bad input is refused with a sentence, whichever number it is in."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datacenter.planner.model import RESOURCES, Policy, Profile, Resources, Rule
from datacenter.planner.validation import check_input
from hosts.errors import Invalid

from .worlds import PLAIN, host, vm, world

SENSELESS = (math.nan, math.inf, -math.inf, -1, -1e-9, 1e30, 10**400, "8", True)
POLICY_NUMBERS = [
    spec.name for spec in fields(Policy) if isinstance(spec.default, int | float) and not isinstance(spec.default, bool)
] + ["max_moves", "max_moved_gib"]


def refusal(hosts: list[Any], workloads: list[Any], *rules: Rule, policy: Policy = PLAIN) -> str:
    with pytest.raises(Invalid) as caught:
        check_input(world(hosts, workloads, *rules), policy)
    assert caught.value.message.endswith(".")
    return caught.value.message


@given(st.sampled_from(RESOURCES), st.sampled_from(SENSELESS))
def test_a_senseless_amount_of_any_resource_is_refused_wherever_it_stands(name: str, bad: Any) -> None:
    amounts = replace(Resources(2, 2048), **{name: bad})

    assert name in refusal([replace(host("h"), capacity=amounts)], [])
    assert name in refusal([host("h")], [replace(vm("a", "h"), allocation=amounts)])
    assert name in refusal([host("h")], [vm("a", "h", observed_p95=amounts)])


@given(st.sampled_from(POLICY_NUMBERS), st.sampled_from(SENSELESS))
def test_a_senseless_number_in_any_field_of_the_policy_is_refused(name: str, bad: Any) -> None:
    assert name in refusal([host("h")], [], policy=replace(PLAIN, **{name: bad}))


@pytest.mark.parametrize(("name", "bad"), [("effort", 1.5), ("survive_failures", 0.5), ("max_moves", 2.5)])
def test_what_is_counted_is_a_whole_number(name: str, bad: float) -> None:
    assert f"{name} is {bad}; it must be a whole number." in refusal([], [], policy=replace(PLAIN, **{name: bad}))


def test_memory_in_bytes_is_told_from_memory_in_mib() -> None:
    assert "check its unit" in refusal([host("h", memory=256 * 2**30)], [])


def test_words_that_the_planner_does_not_know_are_refused() -> None:
    pair = (vm("a", "h"), vm("b", "h"))

    assert "one of hosts, watts" in refusal([host("h")], [], policy=replace(PLAIN, objective="fun"))  # type: ignore[arg-type]
    assert "one of larger, separate" in refusal([host("h")], [], policy=replace(PLAIN, cpu_counting="x"))  # type: ignore[arg-type]
    assert "one of apart" in refusal([host("h")], [*pair], Rule("r", ("a", "b"), "beside"))  # type: ignore[arg-type]
    assert "one of host, rack, site" in refusal([host("h")], [*pair], Rule("r", ("a", "b"), scope="room"))  # type: ignore[arg-type]
    assert "one of vm, container" in refusal([host("h")], [replace(vm("a", "h"), kind="pod")])  # type: ignore[arg-type]


def test_two_rules_of_one_name_and_a_profile_of_a_day_are_refused() -> None:
    pair = [vm("a", "h"), vm("b", "h")]

    assert "Two rules have the name r." in refusal([host("h")], pair, Rule("r", ("a",)), Rule("r", ("b",)))
    assert "a week has 168" in refusal([host("h")], [vm("a", "h", profile=Profile((1.0,) * 24))])
