"""What a workload takes and what a host may give under a policy: one row of numbers each, by dimension.

Demand through time is many dimensions: an hour of the week each, or a recorded step each. The series of all
workloads speak of the same steps, so a sum over a host holds their correlation as it was: two that peak together
fill it, a day load and a night load share it. Limits of recorded steps may be passed in as many of them as the
policy's risk allows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .model import DataCenter, Host, Policy, Workload

Matrix = NDArray[np.float64]
UNLIMITED = 1e15
PROMISED = "promised CPU"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One limit held on every host: a resource, for profiles the hour of the week, for series the step recorded."""

    resource: str
    label: str
    unit: str
    hour: int | None = None
    step: int | None = None


_LABELS = {
    "cpu_cores": ("CPU", "cores"),
    "memory_mib": ("memory", "MiB"),
    "disk_gib": ("disk", "GiB"),
    "disk_io_mib_s": ("disk I/O", "MiB/s"),
    "network_mbit_s": ("network", "Mbit/s"),
}
_HEADROOM = {
    "cpu_cores": "cpu_headroom",
    "memory_mib": "memory_headroom",
    "disk_gib": "disk_headroom",
    "disk_io_mib_s": "disk_io_headroom",
    "network_mbit_s": "network_headroom",
}


@dataclass(frozen=True, slots=True)
class Demand:
    """`needs[workload, dimension]` and `limits[host, dimension]`, rows in the order of the data center.

    `steps[resource, step]` are the dimensions of which a host may pass its limit in `steps_over` steps.
    """

    dimensions: tuple[Dimension, ...]
    needs: Matrix
    limits: Matrix
    steps: NDArray[np.int64]
    steps_over: int


def demand_of(data_center: DataCenter, policy: Policy) -> Demand:
    """The data center's numbers under the policy, without the dimensions in which no host is limited."""
    workloads, hosts = data_center.workloads, data_center.hosts
    dimensions: list[Dimension] = []
    needs: list[Matrix] = []
    limits: list[Matrix] = []

    def add(dimension: Dimension, need: Matrix, limit: Matrix) -> None:
        if need.any() and (limit < UNLIMITED).any():
            dimensions.append(dimension)
            needs.append(need)
            limits.append(limit)

    for resource, (label, unit) in _LABELS.items():
        allocated, peak = _allocated(workloads, resource, policy), _observed(workloads, resource)
        capacity = _capacity(hosts, resource)
        limit = np.where(capacity < UNLIMITED, capacity * (1.0 - getattr(policy, _HEADROOM[resource])), UNLIMITED)
        separate = resource == "cpu_cores" and policy.cpu_counting == "separate"
        if separate:
            add(Dimension(resource, PROMISED, unit), allocated, capacity)
            need = np.where(np.isnan(peak), allocated, peak)
        else:
            need = np.fmax(allocated, peak)
        times = _times(data_center, resource) if policy.use_profiles else []
        if not times:
            add(Dimension(resource, label, unit), need, limit)
            continue
        through = _through_time(workloads, resource, policy, times, need)
        if through.any() and (limit < UNLIMITED).any():
            dimensions += [Dimension(resource, label, unit, hour, step) for hour, step in times]
            needs += list(np.ascontiguousarray(through.T))
            limits += [limit] * len(times)
    steps, steps_over = _steps_of(dimensions, policy)
    if not dimensions:
        return Demand((), np.zeros((len(workloads), 0)), np.zeros((len(hosts), 0)), steps, steps_over)
    return Demand(tuple(dimensions), np.column_stack(needs), np.column_stack(limits), steps, steps_over)


def needs_of(workload: Workload, policy: Policy, dimensions: tuple[Dimension, ...]) -> Matrix:
    """One workload's row in those dimensions: the same numbers as `demand_of`, for one that is not in it."""
    row = []
    for dimension in dimensions:
        resource = dimension.resource
        allocated = float(_allocated((workload,), resource, policy)[0])
        peak = float(_observed((workload,), resource)[0])
        separate = resource == "cpu_cores" and policy.cpu_counting == "separate"
        if separate and dimension.label == PROMISED:
            row.append(allocated)
            continue
        need = (allocated if np.isnan(peak) else peak) if separate else float(np.fmax(allocated, peak))
        known = _known_at(workload, resource, policy, dimension.hour, dimension.step)
        row.append(need if known is None else known)
    return np.array(row)


def _capacity(hosts: tuple[Host, ...], resource: str) -> Matrix:
    amounts = (getattr(host.capacity, resource) for host in hosts)
    return np.array([UNLIMITED if amount is None else amount for amount in amounts], dtype=float)


def _allocated(workloads: tuple[Workload, ...], resource: str, policy: Policy) -> Matrix:
    ratio = {"cpu_cores": policy.cpu_overcommit, "memory_mib": policy.memory_overcommit}.get(resource, 1.0)
    return np.array([getattr(item.allocation, resource) or 0.0 for item in workloads], dtype=float) / ratio


def _observed(workloads: tuple[Workload, ...], resource: str) -> Matrix:
    """p95 by workload; NaN where nothing was observed."""
    amounts = (getattr(item.observed_p95, resource) if item.observed_p95 else None for item in workloads)
    return np.array([np.nan if amount is None else amount for amount in amounts], dtype=float)


Time = tuple[int | None, int | None]  # hour of the week, recorded step


def _times(data_center: DataCenter, resource: str) -> list[Time]:
    """The points in time that this resource is known at: recorded steps, else hours of the week, else none."""
    workloads = data_center.workloads
    count = max((len(getattr(item.series, resource, ())) for item in workloads if item.series), default=0)
    if count:
        start, per_hour = data_center.series_start_hour, data_center.series_per_hour
        return [((start + step // per_hour) % 168, step) for step in range(count)]
    names = profile_names(resource)
    if any(getattr(item.profile, name, ()) for item in workloads if item.profile for name in names):
        return [(hour, None) for hour in range(168)]
    return []


def profile_names(resource: str) -> tuple[str, ...]:
    """The profile's fields for that resource, p50 to peak."""
    return tuple(resource + ending for ending in ("_p50", "", "_p99", "_peak"))


def hours_known(workload: Workload, resource: str, risk: float) -> tuple[float, ...]:
    """The profile whose percentile the risk asks for; where it was not recorded the next stricter one, else looser."""
    names = profile_names(resource)
    first = 0 if risk >= 0.5 else 1 if risk >= 0.05 else 2 if risk >= 0.01 else 3
    hours = [getattr(workload.profile, name, ()) for name in (*names[first:], *reversed(names[:first]))]
    return next((found for found in hours if found), ())


def _known_at(workload: Workload, resource: str, policy: Policy, hour: int | None, step: int | None) -> float | None:
    series = getattr(workload.series, resource, ()) if step is not None else ()
    if series and step is not None:
        return float(series[step])
    hours = hours_known(workload, resource, policy.overload_risk) if hour is not None else ()
    return float(hours[hour]) if hours and hour is not None else None


def _through_time(
    workloads: tuple[Workload, ...], resource: str, policy: Policy, times: list[Time], need: Matrix
) -> Matrix:
    """Demand by workload and point in time; what is not known is the workload's one number all the time."""
    hour_of = [hour or 0 for hour, _ in times]
    is_recorded = times[0][1] is not None
    rows = np.repeat(need[:, None], len(times), axis=1)
    for row, workload in enumerate(workloads):
        series = getattr(workload.series, resource, ()) if is_recorded else ()
        if series:
            rows[row] = series
        elif hours := hours_known(workload, resource, policy.overload_risk):
            rows[row] = np.asarray(hours)[hour_of]
    return rows


def _steps_of(dimensions: list[Dimension], policy: Policy) -> tuple[NDArray[np.int64], int]:
    """The recorded steps' dimensions as resource x step, and how many steps may be over; nothing where none may."""
    by_resource: dict[str, list[int]] = defaultdict(list)
    for column, dimension in enumerate(dimensions):
        if dimension.step is not None:
            by_resource[dimension.resource].append(column)
    count = max((len(columns) for columns in by_resource.values()), default=0)
    over = int(policy.overload_risk * count + 1e-9)
    rows = list(by_resource.values()) if over else []
    return np.array(rows, dtype=np.int64).reshape(len(rows), count), over
