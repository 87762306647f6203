"""The plain inputs as the judge reads them: demand, limits, suitability, places. Shares no code with the search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .model import DataCenter, Host, Policy, Rule, Workload

TOLERANCE = 1e-6
WEEK = 168
HEADROOM = {
    "cpu_cores": "cpu_headroom",
    "memory_mib": "memory_headroom",
    "disk_gib": "disk_headroom",
    "disk_io_mib_s": "disk_io_headroom",
    "network_mbit_s": "network_headroom",
}
PERCENTILES = ("_p50", "", "_p99", "_peak")


class Ledger:
    """Demand of each workload and limit of each host in the same columns, and whether a load is over.

    A resource has one column, 168 where someone has a profile of it, or one for each recorded step.
    """

    def __init__(self, data_center: DataCenter, policy: Policy) -> None:
        self._data_center, self._policy = data_center, policy
        self.width = {name: self._width(name) for name in HEADROOM}
        self._recorded = {name for name in HEADROOM if self._steps(name)}
        self.needs = {item.id: np.concatenate(self._columns(item)) for item in data_center.workloads}
        self._limits = {host.id: np.concatenate(self._limit(host)) for host in data_center.hosts}

    def is_over(self, host: str, load: NDArray[np.float64] | float) -> bool:
        """Whether that load passes the host's limits in more recorded steps than the risk allows, or ever elsewhere."""
        limit = self._limits[host]
        over = np.broadcast_to(load, limit.shape) > limit * (1 + TOLERANCE) + TOLERANCE
        position, late = 0, np.zeros(1, dtype=bool)
        for name in HEADROOM:
            if name == "cpu_cores" and self._policy.cpu_counting == "separate":
                if over[position]:
                    return True
                position += 1
            part = over[position : position + self.width[name]]
            position += self.width[name]
            if name in self._recorded:
                late = late | part
            elif part.any():
                return True
        return int(late.sum()) > self._policy.overload_risk * len(late) + 1e-9

    def _steps(self, name: str) -> int:
        if not self._policy.use_profiles or name == "disk_gib":
            return 0
        series = [item.series for item in self._data_center.workloads if item.series is not None]
        return max((len(getattr(one, name)) for one in series), default=0)

    def _width(self, name: str) -> int:
        if steps := self._steps(name):
            return steps
        if not self._policy.use_profiles or name not in ("cpu_cores", "memory_mib"):
            return 1
        profiles = [item.profile for item in self._data_center.workloads if item.profile is not None]
        return WEEK if any(getattr(one, name + end) for one in profiles for end in PERCENTILES) else 1

    def _columns(self, workload: Workload) -> list[NDArray[np.float64]]:
        policy, columns = self._policy, []
        for name in HEADROOM:
            promised = getattr(workload.allocation, name) or 0.0
            promised /= {"cpu_cores": policy.cpu_overcommit, "memory_mib": policy.memory_overcommit}.get(name, 1.0)
            seen = getattr(workload.observed_p95, name) if workload.observed_p95 else None
            if name == "cpu_cores" and policy.cpu_counting == "separate":
                columns.append(np.array([promised]))
                flat = promised if seen is None else seen
            else:
                flat = max(promised, seen or 0.0)
            columns.append(self._through_time(workload, name, flat))
        return columns

    def _through_time(self, workload: Workload, name: str, flat: float) -> NDArray[np.float64]:
        width = self.width[name]
        if name in self._recorded and workload.series is not None and getattr(workload.series, name):
            return np.array(getattr(workload.series, name), dtype=float)
        week = self._week(workload, name)
        if width == 1 or not week:
            return np.full(width, flat)
        if name not in self._recorded:
            return np.array(week, dtype=float)
        first, per_hour = self._data_center.series_start_hour, self._data_center.series_per_hour
        return np.array([week[(first + step // per_hour) % WEEK] for step in range(width)])

    def _week(self, workload: Workload, name: str) -> tuple[float, ...]:
        """The profile for the policy's risk: the percentile wanted, else one above it, else one below."""
        if workload.profile is None or name not in ("cpu_cores", "memory_mib"):
            return ()
        risk = self._policy.overload_risk
        wanted = sum(risk < bound for bound in (0.5, 0.05, 0.01))
        above = [getattr(workload.profile, name + end) for end in PERCENTILES[wanted:]]
        below = [getattr(workload.profile, name + end) for end in PERCENTILES[:wanted]]
        return next((week for week in above + below[::-1] if week), ())

    def _limit(self, host: Host) -> list[NDArray[np.float64]]:
        columns = []
        for name, headroom in HEADROOM.items():
            capacity = getattr(host.capacity, name)
            amount = np.inf if capacity is None else capacity * (1 - getattr(self._policy, headroom))
            if name == "cpu_cores" and self._policy.cpu_counting == "separate":
                columns.append(np.array([np.inf if capacity is None else capacity]))
            columns.append(np.full(self.width[name], amount))
        return columns


def place_of(rule: Rule, host: Host) -> tuple[str, ...]:
    """What the rule tells apart: the host, or its rack or site where it has one."""
    if rule.scope == "rack" and host.rack:
        return ("rack", host.site, host.rack)
    if rule.scope == "site" and host.site:
        return ("site", host.site)
    return ("host", host.inside or host.id)


def unsuitable(workload: Workload, host: Host) -> list[str]:
    """Everything about the host that forbids the workload."""
    checks = {
        "it is off": host.is_on,
        "it takes no new work": host.accepts_work,
        "it has no hypervisor": workload.kind != "vm" or host.has_hypervisor,
        "it has no container engine": workload.kind != "container" or host.has_engine,
        "its architecture differs": workload.architecture in ("", host.architecture),
        "its CPU model differs": workload.cpu_model in ("", host.cpu_model),
        "its kernel is another": workload.kind == "vm" or workload.kernel in ("", host.kernel),
        "its NUMA nodes are too small": not workload.in_one_numa_node
        or (
            (workload.allocation.cpu_cores or 0) <= _or_endless(host.numa_node.cpu_cores)
            and (workload.allocation.memory_mib or 0) <= _or_endless(host.numa_node.memory_mib)
        ),
        "a bridge is missing": set(workload.bridges) <= set(host.bridges),
        "a storage pool is missing": set(workload.pools) <= set(host.pools),
        "it lacks an ability": set(workload.abilities) <= set(host.abilities),
        "it is not among the allowed hosts": not workload.only_hosts or host.id in workload.only_hosts,
        "it has no licence": set(workload.licences) <= set(host.licences),
        "it is too far away": not workload.within or bool(_areas(host) & set(workload.within)),
        "it is excluded": host.id not in workload.never_hosts,
    }
    return [reason for reason, holds in checks.items() if not holds]


def _or_endless(amount: float | None) -> float:
    return float("inf") if amount is None else amount


def _areas(host: Host) -> set[str]:
    return {host.site, host.site + "/" + host.rack}
