"""What workloads have really used: p95 over the policy's history, for all of a site at once."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from datacenter.metrics.store import MetricsStore
from datacenter.planner.model import Profile
from hosts.errors import DriverError
from hosts.units import MIB

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Demand:
    """p95 of one workload, None where nothing was recorded; its week where the policy plans by hours."""

    cpu_cores: float | None = None
    memory_mib: float | None = None
    profile: Profile | None = None


def demand_p95(store: MetricsStore, site: str, history_hours: int) -> dict[str, Demand]:
    """p95 by workload uuid, from two queries. Empty when the store does not answer: allocations then count."""
    return _demand(store, site, f"{history_hours}h")


def demand_lately(store: MetricsStore, site: str, minutes: int) -> dict[str, Demand]:
    """As `demand_p95`, of the last minutes alone."""
    return _demand(store, site, f"{minutes}m")


def _demand(store: MetricsStore, site: str, window: str) -> dict[str, Demand]:
    try:
        cpu = _p95(store, "stowage_workload_cpu_used_cores", site, window)
        memory = _p95(store, "stowage_workload_memory_used_bytes", site, window)
    except DriverError as error:
        log.warning("Planning without history: %s", error.message)
        return {}
    return {
        uuid: Demand(cpu.get(uuid), memory[uuid] / MIB if uuid in memory else None)
        for uuid in cpu.keys() | memory.keys()
    }


def _p95(store: MetricsStore, metric: str, site: str, window: str) -> dict[str, float]:
    selector = metric + '{site="' + site.replace('"', "") + '"}'
    rows = store.query(f"quantile_over_time(0.95, {selector}[{window}])")
    return {row.labels["workload_uuid"]: row.points[0][1] for row in rows if "workload_uuid" in row.labels}
