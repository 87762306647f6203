"""From a sample message of a host plane to the series that are stored and the values that pages show.

Series names follow Prometheus' conventions: unit in the name, `_total` for counters.
Source: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from datacenter.metrics.store import Sample

HOST_GAUGES = (
    "cpu_used_cores",
    "cpu_capacity_cores",
    "memory_used_mib",
    "memory_capacity_mib",
    "disk_used_gib",
    "disk_capacity_gib",
    "load_1m",
)
WORKLOAD_GAUGES = ("cpu_used_cores", "memory_used_mib", "memory_guest_used_mib")
WORKLOAD_COUNTERS = (
    "disk_read_bytes_total",
    "disk_written_bytes_total",
    "network_received_bytes_total",
    "network_sent_bytes_total",
)
WORKLOADS_PER_HOST_MOST = 5000
# Metric names carry base units, as the conventions ask.
_SCALES = {"_mib": ("_bytes", 2**20), "_gib": ("_bytes", 2**30)}


def number(value: Any) -> float | None:
    """A finite, non-negative number, or None: what a host sends is not to be trusted."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def metric_name(prefix: str, key: str) -> tuple[str, float]:
    """The series' name and what to multiply the value by."""
    for ending, (unit, scale) in _SCALES.items():
        if key.endswith(ending):
            return f"{prefix}_{key.removesuffix(ending)}{unit}", float(scale)
    return f"{prefix}_{key}", 1.0


def host_values(message: dict[str, Any]) -> dict[str, float]:
    """The host's own readings that make sense."""
    return _readings(message.get("host_sample"), HOST_GAUGES)


def workload_values(message: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Kind, uuid and readings of each workload in the message."""
    workloads = message.get("workloads")
    for row in (workloads if isinstance(workloads, list) else [])[:WORKLOADS_PER_HOST_MOST]:
        if isinstance(row, dict) and row.get("kind") in {"vm", "container"} and isinstance(row.get("uuid"), str):
            yield row["kind"], row["uuid"][:64], _readings(row, WORKLOAD_GAUGES + WORKLOAD_COUNTERS)


def _readings(row: Any, keys: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(row, dict):
        return {}
    found = ((key, number(row.get(key))) for key in keys)
    return {key: value for key, value in found if value is not None}


def samples_of(message: dict[str, Any], at: float, host_uuid: str, host: str, site: str) -> list[Sample]:
    """Everything in the message as samples with the plane's own time.

    A workload's series carries no host: it goes on under the same labels after a migration.
    """
    samples = []
    labels = {"host_uuid": host_uuid, "host": host, "site": site}
    for key, value in host_values(message).items():
        name, scale = metric_name("stowage_host", key)
        samples.append(Sample(name, labels, value * scale, at))
    for kind, uuid, values in workload_values(message):
        for key, value in values.items():
            name, scale = metric_name("stowage_workload", key)
            samples.append(Sample(name, {"workload_uuid": uuid, "kind": kind, "site": site}, value * scale, at))
    return samples
