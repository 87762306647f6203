"""What a workload takes and what a host may give under a policy: one row of numbers each, by dimension."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .model import DataCenter, Host, Policy, Workload

Matrix = NDArray[np.float64]
UNLIMITED = 1e15
PROMISED = "promised CPU"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One limit held on every host: a resource, and for profiles the hour of the week."""

    resource: str
    label: str
    unit: str
    hour: int | None = None


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
    """`needs[workload, dimension]` and `limits[host, dimension]`, rows in the order of the data center."""

    dimensions: tuple[Dimension, ...]
    needs: Matrix
    limits: Matrix


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
        by_hour = _profiles(workloads, resource) if policy.use_profiles else None
        if by_hour is None:
            add(Dimension(resource, label, unit), need, limit)
            continue
        unknown = np.isnan(by_hour[:, :1])
        hours = np.where(unknown, need[:, None], by_hour)
        for hour in range(168):
            add(Dimension(resource, label, unit, hour), np.ascontiguousarray(hours[:, hour]), limit)
    if not dimensions:
        return Demand((), np.zeros((len(workloads), 0)), np.zeros((len(hosts), 0)))
    return Demand(tuple(dimensions), np.column_stack(needs), np.column_stack(limits))


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
        hours = getattr(workload.profile, resource, ()) if workload.profile and dimension.hour is not None else ()
        row.append(hours[dimension.hour] if hours and dimension.hour is not None else need)
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


def _profiles(workloads: tuple[Workload, ...], resource: str) -> Matrix | None:
    """Hours by workload, NaN rows without a profile; None when nobody has one."""
    if resource not in ("cpu_cores", "memory_mib"):
        return None
    rows = [getattr(item.profile, resource) if item.profile else () for item in workloads]
    if not any(rows):
        return None
    return np.array([row or (np.nan,) * 168 for row in rows], dtype=float)
