"""What hosts draw: a straight line from idle to peak by the share of CPU in use; an off host draws nothing.

Source: the linear model is within a few percent of SPECpower results of rack servers (Fan, Weber, Barroso,
"Power provisioning for a warehouse-sized computer", ISCA 2007).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hosts.units import watts_to_kwh_per_year

from .model import DataCenter, Host, Policy, Workload


@dataclass(frozen=True, slots=True)
class Savings:
    """A year with the plan against a year without it. `sentence` tells how the energy was computed."""

    watts: float
    kwh_per_year: float
    money_per_year: float
    co2_kg_per_year: float
    sentence: str


def host_watts(host: Host, cpu_used_cores: float) -> float:
    """Watts of a host that is on, at that CPU use."""
    cores = host.capacity.cpu_cores or 0.0
    share = min(1.0, max(0.0, cpu_used_cores / cores)) if cores else 0.0
    return host.idle_watts + (host.peak_watts - host.idle_watts) * share


def expected_cpu_cores(workload: Workload, policy: Policy) -> float:
    """The CPU a workload is thought to use: its p95, or without one its allocation over the overcommit."""
    observed = workload.observed_p95.cpu_cores if workload.observed_p95 else None
    if observed is not None:
        return observed
    return (workload.allocation.cpu_cores or 0.0) / policy.cpu_overcommit


def placement_watts(
    data_center: DataCenter, policy: Policy, placement: Mapping[str, str], hosts_on: Iterable[str]
) -> float:
    """Watts of all hosts in `hosts_on` under that placement (workload id -> host id)."""
    used: dict[str, float] = defaultdict(float)
    for workload in data_center.workloads:
        used[placement.get(workload.id, "")] += expected_cpu_cores(workload, policy)
    on = set(hosts_on)
    return sum(host_watts(host, used[host.id]) for host in data_center.hosts if host.id in on)


def savings_per_year(
    watts_before: float,
    watts_after: float,
    *,
    price_per_kwh: float,
    co2_g_per_kwh: float,
    pue: float = 1.0,
) -> Savings:
    """Energy, money and CO2 of a year; `pue` multiplies for cooling and losses (1.0: the servers alone)."""
    watts = (watts_before - watts_after) * pue
    kwh = watts_to_kwh_per_year(watts)
    sentence = f"({watts_before:,.0f} W - {watts_after:,.0f} W) x PUE {pue:g} x 8,766 h = {kwh:,.0f} kWh per year."
    return Savings(watts, kwh, kwh * price_per_kwh, kwh * co2_g_per_kwh / 1000.0, sentence)
