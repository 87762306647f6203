"""Watts, energy, money and CO2: of a plan, and of a site as it runs now. Every figure says how it was computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from datacenter.models import Tariff
from datacenter.planner.power import Savings, savings_per_year
from hosts.models import Host, Site


@dataclass(frozen=True)
class Saving:
    """What a year saves. `before_watts` and `after_watts` are the servers alone, all else includes the PUE."""

    before_watts: float
    after_watts: float
    saved_watts: float
    kwh_per_year: float
    money_per_year: float
    currency: str
    co2_kg_per_year: float
    how: str
    before_kwh_per_year: float
    after_kwh_per_year: float
    before_money_per_year: float
    after_money_per_year: float
    before_co2_kg_per_year: float
    after_co2_kg_per_year: float

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def tariff_of(site: Site) -> Tariff:
    """The site's tariff; one with the defaults, not stored, where there is none."""
    return Tariff.objects.filter(site=site).first() or Tariff(site=site)


def saving(tariff: Tariff, before_watts: float, after_watts: float, why: str) -> Saving:
    """The saving of drawing `after_watts` where `before_watts` were drawn."""
    rates = {
        "price_per_kwh": float(tariff.price_per_kwh),
        "co2_g_per_kwh": tariff.carbon_g_per_kwh,
        "pue": tariff.pue,
    }
    before = savings_per_year(before_watts, 0.0, **rates)
    after = savings_per_year(after_watts, 0.0, **rates)
    year = savings_per_year(before_watts, after_watts, **rates)
    return Saving(
        before_watts=before_watts,
        after_watts=after_watts,
        saved_watts=year.watts,
        kwh_per_year=year.kwh_per_year,
        money_per_year=year.money_per_year,
        currency=tariff.currency,
        co2_kg_per_year=year.co2_kg_per_year,
        how=f"{why} {year.sentence} {_priced(tariff, year)}",
        before_kwh_per_year=before.kwh_per_year,
        after_kwh_per_year=after.kwh_per_year,
        before_money_per_year=before.money_per_year,
        after_money_per_year=after.money_per_year,
        before_co2_kg_per_year=before.co2_kg_per_year,
        after_co2_kg_per_year=after.co2_kg_per_year,
    )


def _priced(tariff: Tariff, year: Savings) -> str:
    """How money and CO2 follow from the energy."""
    kwh, price = f"{year.kwh_per_year:,.0f} kWh", f"{float(tariff.price_per_kwh):g} {tariff.currency}"
    return (
        f"{kwh} x {price} = {year.money_per_year:,.0f} {tariff.currency}."
        f" {kwh} x {tariff.carbon_g_per_kwh:g} g CO₂ = {year.co2_kg_per_year:,.0f} kg CO₂."
        " PUE is what the building draws for each watt of its servers."
    )


def host_watts_now(host: Host, latest: Mapping[str, Mapping[str, Any]]) -> float:
    """Watts by the host's power model: nothing when off, idle when its CPU use is not known."""
    if host.power == Host.Power.OFF:
        return 0.0
    used = float(latest.get(f"host:{host.pk}", {}).get("cpu_used_cores") or 0.0)
    share = min(1.0, used / host.cpu_cores) if host.cpu_cores else 0.0
    return host.idle_watts + (host.peak_watts - host.idle_watts) * share


def site_saving(site: Site, hosts: Iterable[Host], latest: Mapping[str, Mapping[str, Any]]) -> Saving:
    """What the hosts that are off save now, against all of them being on."""
    hosts = list(hosts)
    now_watts = sum(host_watts_now(host, latest) for host in hosts)
    off = [host for host in hosts if host.power == Host.Power.OFF]
    why = (
        f"{len(off)} of {len(hosts)} hosts are off; each would draw its idle watts if it were on. "
        "Hosts that are on draw between idle and peak by their CPU use now."
    )
    return saving(tariff_of(site), now_watts + sum(host.idle_watts for host in off), now_watts, why)
