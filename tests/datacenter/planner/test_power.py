"""Watts, and what they come to in a year."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacenter.planner import plan
from datacenter.planner.power import host_watts, savings_per_year

from .worlds import PLAIN, host, vm, world


def test_watts_run_in_a_straight_line_from_idle_to_peak_and_not_beyond() -> None:
    machine = host("h", cpu=8, idle_watts=80, peak_watts=200)

    assert [host_watts(machine, cores) for cores in (0, 4, 8, 99)] == [80, 140, 200, 200]


def test_a_year_of_savings_is_told_with_its_sum() -> None:
    saved = savings_per_year(300, 200, price_per_kwh=0.3, co2_g_per_kwh=400, pue=1.5)

    assert saved.kwh_per_year == pytest.approx(100 * 1.5 * 8.766)
    assert saved.money_per_year == pytest.approx(saved.kwh_per_year * 0.3)
    assert saved.co2_kg_per_year == pytest.approx(saved.kwh_per_year * 0.4)
    assert "(300 W - 200 W) x PUE 1.5 x 8,766 h = 1,315 kWh per year" in saved.sentence


def test_no_plan_draws_less_than_the_bound_on_watts_and_the_best_one_reaches_it() -> None:
    """5,000 MiB on hosts of 8,192: the one with 50 idle watts is enough, 12.5 W for each of the two busy cores."""
    hosts = [host("h1", idle_watts=50, peak_watts=150), host("h2"), host("h3")]
    data_center = world(hosts, [vm("a", "h2", memory=3000), vm("b", "h3", memory=2000)])

    result = plan(data_center, replace(PLAIN, objective="watts"))

    assert result.lower_bound.watts == pytest.approx(50 * 5000 / 8192 + 2 * 12.5, rel=1e-3)
    assert result.watts_after == 50 + 2 * 12.5
    assert result.watts_gap == pytest.approx(75 / (50 * 5000 / 8192 + 25) - 1, rel=1e-3)
