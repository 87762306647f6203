"""Watts, energy, money and CO2, checked by hand."""

from __future__ import annotations

import pytest

from datacenter.models import Tariff
from datacenter.services.savings import host_watts_now, saving, site_saving
from hosts.models import Host
from tests.datacenter.world import a_host, a_site

pytestmark = pytest.mark.django_db


def test_a_hundred_watts_saved_for_a_year():
    tariff = Tariff(site=a_site(), price_per_kwh="0.30", carbon_g_per_kwh=400, pue=1.5)

    found = saving(tariff, 300.0, 200.0, "Because.")

    assert found.saved_watts == pytest.approx(150)  # 100 W x 1.5
    assert found.kwh_per_year == pytest.approx(1314.9)  # 150 W x 8,766 h
    assert found.money_per_year == pytest.approx(394.47)
    assert found.co2_kg_per_year == pytest.approx(525.96)
    assert found.before_kwh_per_year - found.after_kwh_per_year == pytest.approx(found.kwh_per_year)
    assert "(300 W - 200 W) x PUE 1.5 x 8,766 h = 1,315 kWh per year." in found.how
    assert "1,315 kWh x 0.3 EUR = 394 EUR." in found.how
    assert "1,315 kWh x 400 g CO₂ = 526 kg CO₂." in found.how


def test_a_host_draws_between_idle_and_peak_by_its_cpu_use():
    host = a_host("alpha")

    assert host_watts_now(host, {}) == 100
    assert host_watts_now(host, {f"host:{host.pk}": {"cpu_used_cores": 4.0}}) == 150
    assert host_watts_now(host, {f"host:{host.pk}": {"cpu_used_cores": 99.0}}) == 200
    host.power = Host.Power.OFF
    assert host_watts_now(host, {f"host:{host.pk}": {"cpu_used_cores": 4.0}}) == 0


def test_hosts_that_are_off_save_their_idle_watts():
    on, off = a_host("alpha"), a_host("beta", power=Host.Power.OFF)

    found = site_saving(a_site(), [on, off], {})

    assert (found.before_watts, found.after_watts) == (200, 100)
    assert "1 of 2 hosts are off" in found.how


def test_looking_at_a_site_stores_no_tariff():
    site_saving(a_site(), [], {})

    assert not Tariff.objects.exists()
