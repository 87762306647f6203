"""Watts, and what they come to in a year."""

from __future__ import annotations

import pytest

from datacenter.planner.power import host_watts, savings_per_year

from .worlds import host


def test_watts_run_in_a_straight_line_from_idle_to_peak_and_not_beyond() -> None:
    machine = host("h", cpu=8, idle_watts=80, peak_watts=200)

    assert [host_watts(machine, cores) for cores in (0, 4, 8, 99)] == [80, 140, 200, 200]


def test_a_year_of_savings_is_told_with_its_sum() -> None:
    saved = savings_per_year(300, 200, price_per_kwh=0.3, co2_g_per_kwh=400, pue=1.5)

    assert saved.kwh_per_year == pytest.approx(100 * 1.5 * 8.766)
    assert saved.money_per_year == pytest.approx(saved.kwh_per_year * 0.3)
    assert saved.co2_kg_per_year == pytest.approx(saved.kwh_per_year * 0.4)
    assert "(300 W - 200 W) x PUE 1.5 x 8,766 h = 1,315 kWh per year" in saved.sentence
