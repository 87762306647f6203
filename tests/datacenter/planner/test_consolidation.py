"""What an operator reads in a plan, on data centers small enough to check by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import pytest

from datacenter.planner import plan, verify_plan, why_not_freed
from datacenter.planner.model import DataCenter, Policy, Resources, Rule
from datacenter.planner.watching import Watch
from hosts.errors import Invalid

from .worlds import PLAIN, container, host, vm, world


def sprawl() -> DataCenter:
    """Four hosts as the lab starts: lightly loaded, a pinned VM, a pair kept apart, one very large VM."""
    hosts = [host("h1"), host("h2"), host("h3", memory=16384), host("h4")]
    return world(
        hosts,
        [
            vm("pin", "h1", pinned=True, pinned_reason="licence dongle"),
            vm("web1", "h1", anti_affinity=("web",)),
            vm("web2", "h2", anti_affinity=("web",)),
            container("c1", "h2"),
            vm("large", "h3", memory=12000),
            vm("small", "h4"),
            container("c2", "h4"),
        ],
    )


def test_the_lab_is_consolidated_and_every_host_has_its_reason() -> None:
    result = plan(sprawl(), PLAIN)

    assert set(result.hosts_to_power_off) == {"h2", "h4"}
    assert verify_plan(sprawl(), PLAIN, result) == []
    reasons = {kept.host: kept.sentence for kept in result.hosts_kept}
    assert reasons["h1"] == "h1 cannot be freed: pin is pinned to its host: licence dongle."
    assert "large: needs 12,000 MiB of memory" in reasons["h3"]
    assert result.lower_bound.hosts == 2
    assert result.gap == 0


def test_watts_before_and_after_follow_the_linear_model() -> None:
    result = plan(sprawl(), PLAIN)

    used_cores = 7.0
    assert result.watts_before == pytest.approx(4 * 80 + used_cores / 8 * 120)
    assert result.watts_after == pytest.approx(2 * 80 + used_cores / 8 * 120)


def test_a_workload_kept_apart_everywhere_keeps_its_host() -> None:
    data_center = world(
        [host("h1"), host("h2")],
        [vm("web1", "h1", anti_affinity=("web",)), vm("web2", "h2", anti_affinity=("web",))],
    )

    kept = why_not_freed(data_center, PLAIN, "h2")

    assert kept is not None
    assert kept.sentence == "h2 cannot be freed: web2: rule web keeps it apart from web1 on h1."
    assert kept.workloads == ("web2",)
    assert kept.rules == ("web",)


def test_workloads_that_fit_one_by_one_but_not_together_are_told_so() -> None:
    data_center = world(
        [host("h1"), host("h2")],
        [vm("a", "h1", memory=5000), vm("b", "h2", memory=2000), vm("c", "h2", memory=2500)],
    )

    kept = why_not_freed(data_center, PLAIN, "h2")

    assert kept is not None
    assert "find no room elsewhere together: they need 4,500 MiB of memory" in kept.sentence


def test_the_larger_of_allocation_over_overcommit_and_observed_p95_counts() -> None:
    busy = vm("busy", "h1", cpu=4, observed_p95=Resources(cpu_cores=4))
    other = vm("other", "h2", cpu=12)
    data_center = world([host("h1"), host("h2")], [busy, other])
    policy = replace(PLAIN, cpu_overcommit=2.0)

    assert plan(data_center, policy).hosts_on_after == 2  # 4 observed + 12 / 2 promised > 8

    idle = replace(busy, observed_p95=Resources(cpu_cores=0.1))
    assert plan(world([host("h1"), host("h2")], [idle, other]), policy).hosts_on_after == 1  # 4 / 2 + 12 / 2


def test_headroom_is_kept_free() -> None:
    data_center = world([host("h1"), host("h2")], [vm("a", "h1", memory=4096), vm("b", "h2", memory=4096)])

    assert plan(data_center, PLAIN).hosts_on_after == 1
    assert plan(data_center, replace(PLAIN, memory_headroom=0.1)).hosts_on_after == 2


def test_a_full_swap_is_broken_by_parking_or_not_done() -> None:
    data_center = world(
        [host("h1", memory=4096), host("h2", memory=4096), host("h3", memory=4096)],
        [vm("a", "h1", memory=3000), vm("b", "h2", memory=3000), vm("c", "h3", memory=1000)],
    )

    result = plan(data_center, PLAIN)

    assert verify_plan(data_center, PLAIN, result) == []
    assert result.hosts_on_after == 2


def test_an_affinity_group_moves_as_one_or_not_at_all() -> None:
    data_center = world(
        [host("h1", memory=3000), host("h2", memory=2500)],
        [vm("app", "h2", affinity=("shop",)), vm("db", "h2", affinity=("shop",)), vm("x", "h1", memory=1500)],
    )

    result = plan(data_center, PLAIN)

    assert result.hosts_on_after == 2
    assert "app with db" in {kept.host: kept.sentence for kept in result.hosts_kept}["h2"]


def test_the_warm_reserve_stays_on_empty() -> None:
    result = plan(sprawl(), replace(PLAIN, spare_hosts=1))

    assert result.hosts_on_after == 3
    assert any("warm reserve" in kept.sentence for kept in result.hosts_kept)


def test_an_overloaded_host_is_relieved_by_the_cheapest_move_even_if_none_is_freed() -> None:
    data_center = world(
        [host("h1", memory=4000), host("h2", memory=4000)],
        [vm("a", "h1", memory=3000), vm("b", "h1", memory=1500), vm("c", "h2", memory=2000)],
    )

    result = plan(data_center, PLAIN)

    assert result.placement_after == {"a": "h1", "b": "h2", "c": "h2"}
    assert verify_plan(data_center, PLAIN, result) == []


def test_an_overloaded_host_gets_nothing_and_is_named() -> None:
    data_center = world([host("h1", memory=2000), host("h2")], [vm("a", "h1", memory=3000), vm("b", "h2")])

    result = plan(data_center, PLAIN)

    assert result.placement_after == {"a": "h2", "b": "h2"}
    assert "h1 is over the policy's limit now" in result.warnings[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, 1e30])
def test_senseless_numbers_are_refused_with_a_sentence(bad: float) -> None:
    data_center = world([host("h1")], [vm("a", "h1", memory=bad)])

    with pytest.raises(Invalid, match=r"Workload a: memory_mib is .*\."):
        plan(data_center, PLAIN)


def test_unknown_names_and_senseless_policies_are_refused() -> None:
    with pytest.raises(Invalid, match="not in the inventory"):
        plan(world([host("h1")], [vm("a", "nowhere")]), PLAIN)
    with pytest.raises(Invalid, match="which is not in the inventory"):
        plan(world([host("h1")], [], Rule("r", ("ghost",))), PLAIN)
    with pytest.raises(Invalid, match="share below 1"):
        plan(sprawl(), Policy(cpu_headroom=20))
    with pytest.raises(Invalid, match="between"):
        plan(sprawl(), Policy(cpu_overcommit=0))


def test_nothing_at_all_is_a_plan_without_moves() -> None:
    assert plan(DataCenter(), Policy()).moves == ()


def test_model_and_power_load_neither_numpy_nor_a_solver() -> None:
    code = (
        "import sys, datacenter.planner.model, datacenter.planner.power, datacenter.planner.data;"
        "print([name for name in ('numpy', 'numba', 'ortools', 'highspy', 'django') if name in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_after_an_n_plus_1_plan_every_workload_has_a_host_to_restart_on() -> None:
    hosts = [host(f"h{number}") for number in range(5)]
    data_center = world(hosts, [vm(f"v{number}", f"h{number}", memory=3000) for number in range(5)])

    plain, safe = plan(data_center, PLAIN), plan(data_center, replace(PLAIN, survive_failures=1))

    assert (plain.hosts_on_after, safe.hosts_on_after) == (3, 4)
    assert set(safe.restart_on) == set(safe.placement_after)
    assert verify_plan(data_center, replace(PLAIN, survive_failures=1), safe) == []


def test_nothing_is_switched_off_where_a_loss_could_not_be_survived() -> None:
    data_center = world([host("h1"), host("h2", memory=20000)], [vm("a", "h1"), vm("b", "h2", memory=12000)])

    result = plan(data_center, replace(PLAIN, survive_failures=1))

    assert result.moves == ()
    assert result.hosts_to_power_off == ()


def test_who_watches_is_told_each_better_answer_beside_the_proven_minimum() -> None:
    told: list[tuple[int, int]] = []

    result = plan(sprawl(), PLAIN, Watch(tell=lambda on, least: told.append((on, least))))

    assert told[-1] == (result.hosts_on_after, result.lower_bound.hosts)
    assert [on for on, _ in told] == sorted({on for on, _ in told}, reverse=True)


@pytest.mark.parametrize("policy", [PLAIN, replace(PLAIN, survive_failures=1), replace(PLAIN, objective="watts")])
def test_a_search_that_is_ended_at_once_gives_a_plan_that_holds(policy: Policy) -> None:
    result = plan(sprawl(), policy, Watch(is_over=lambda: True))

    assert verify_plan(sprawl(), policy, result) == []
    assert result.hosts_on_after <= result.hosts_on_before
