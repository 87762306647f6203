"""From a sample message of a host plane to the series that are stored and the values that pages show.

Series names follow Prometheus' conventions: unit in the name, `_total` for counters.
Source: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class WorkloadReading:
    """What one workload used, as its host says."""

    kind: str
    uuid: str
    values: dict[str, float]


def host_readings(message: dict[str, Any]) -> dict[str, float]:
    """The host's own readings that make sense."""
    return _readings(message.get("host_sample"), HOST_GAUGES)


def workload_readings(message: dict[str, Any]) -> Iterator[WorkloadReading]:
    """The readings of each workload in the message."""
    workloads = message.get("workloads")
    for row in (workloads if isinstance(workloads, list) else [])[:WORKLOADS_PER_HOST_MOST]:
        if isinstance(row, dict) and row.get("kind") in ("vm", "container") and isinstance(row.get("uuid"), str):
            uuid = row["uuid"][:64].lower()
            yield WorkloadReading(row["kind"], uuid, _readings(row, WORKLOAD_GAUGES + WORKLOAD_COUNTERS))


def _readings(row: Any, keys: tuple[str, ...]) -> dict[str, float]:
    if not isinstance(row, dict):
        return {}
    found = ((key, number(row.get(key))) for key in keys)
    return {key: value for key, value in found if value is not None}


def samples_of(
    readings: dict[str, float],
    workloads: Iterable[WorkloadReading],
    at: float,
    host_uuid: str,
    host: str,
    site: str,
) -> list[Sample]:
    """All readings as samples with the plane's own time.

    A workload's series carries no host: it goes on under the same labels after a migration.
    """
    labels = {"host_uuid": host_uuid, "host": host, "site": site}
    samples = [
        Sample(HOST_METRICS[key][0], labels, value * HOST_METRICS[key][1], at) for key, value in readings.items()
    ]
    for reading in workloads:
        labels = {"workload_uuid": reading.uuid, "kind": reading.kind, "site": site}
        for key, value in reading.values.items():
            name, scale = WORKLOAD_METRICS[key]
            samples.append(Sample(name, labels, value * scale, at))
    return samples


HOST_METRICS = {key: metric_name("stowage_host", key) for key in HOST_GAUGES}
WORKLOAD_METRICS = {key: metric_name("stowage_workload", key) for key in WORKLOAD_GAUGES + WORKLOAD_COUNTERS}
