"""Every metric there is: its name in the store, what people call it, its unit, and whether it is a gauge or a counter.

Charts, alerts, `/metrics` and the collector all read this table; a reading that is not in it is not stored. Names
follow Prometheus' conventions: base unit in the name, `_total` for counters. Source:
https://prometheus.io/docs/practices/naming/

Labels: a host's series carry `host_uuid`, `host` and `site`; a workload's `workload_uuid`, `kind` ("vm" or
"container") and `site`, and no host: it goes on under the same labels after a migration. A metric with a `part` has
one series for each disk, network card or sensor, told apart by that label. Counters begin anew when a VM or
container is restarted or moved: read them by `rate()` and `increase()`, which know that.

The store of 13 months has, under the same names and labels, one point for every five minutes and `aggregate`: "min",
"avg", "p95" and "max" of a gauge; "avg", "p95" and "max" of what a counter grew by in a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hosts.units import GIB, MIB

Of = Literal["host", "workload", "collector", "site"]
Kind = Literal["gauge", "counter"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        of: what it is measured of.
        key: its name in samples and in the newest values that pages show.
        kind: a gauge is shown as it is, a counter as what it grew by in a second.
        unit: of the stored value: "cores", "bytes", "seconds", "ratio" (1 is 100 %), "celsius", "watts", "joules",
            or what is counted ("operations", "packets").
        topic: which chart it belongs to.
        words: the operator's words for it; for a counter those of its rate.
        scale: stored value = sampled value x scale.
        part: the label that tells several of one thing apart; empty where there is one.
    """

    of: Of
    key: str
    kind: Kind
    unit: str
    topic: str
    words: str
    scale: float = 1.0
    part: str = ""

    @property
    def name(self) -> str:
        """The metric's name in the store."""
        key = self.key
        for ending, scale in (("_mib", MIB), ("_gib", GIB)):
            if key.endswith(ending) and self.scale == scale:
                key = key.removesuffix(ending) + "_bytes"
        return f"stowage_{self.of}_{key}"

    @property
    def shown_unit(self) -> str:
        """The unit in which it is charted: a counter's is that of its growth in a second."""
        if self.kind == "gauge":
            return self.unit
        return _RATE_UNITS.get(self.unit, f"{self.unit}/s")


# What a counter of the unit becomes as a rate: seconds of waiting in a second are a share of the time.
_RATE_UNITS = {"cpu seconds": "cores", "seconds": "ratio", "joules": "watts"}

_NETWORK = (
    ("network_received_bytes_total", "bytes", "received"),
    ("network_sent_bytes_total", "bytes", "sent"),
    ("network_received_packets_total", "packets", "packets received"),
    ("network_sent_packets_total", "packets", "packets sent"),
    ("network_received_dropped_total", "packets", "received packets dropped"),
    ("network_sent_dropped_total", "packets", "sent packets dropped"),
    ("network_received_errors_total", "errors", "errors in receiving"),
    ("network_sent_errors_total", "errors", "errors in sending"),
)
_DISK = (
    ("disk_read_bytes_total", "bytes", "read"),
    ("disk_written_bytes_total", "bytes", "written"),
    ("disk_reads_total", "operations", "read operations"),
    ("disk_writes_total", "operations", "write operations"),
)
_PRESSURE = (
    ("cpu_pressure_some_seconds_total", "Time in which some work waited for CPU"),
    ("memory_pressure_some_seconds_total", "Time in which some work waited for memory"),
    ("memory_pressure_full_seconds_total", "Time in which all work waited for memory"),
    ("io_pressure_some_seconds_total", "Time in which some work waited for disks"),
    ("io_pressure_full_seconds_total", "Time in which all work waited for disks"),
)

HOST = (
    Metric("host", "cpu_used_cores", "gauge", "cores", "cpu", "CPU in use"),
    Metric("host", "cpu_used_ratio", "gauge", "ratio", "cpu", "CPU in use, of what the host has"),
    Metric("host", "cpu_capacity_cores", "gauge", "cores", "cpu", "CPU of the host"),
    Metric("host", "cpu_seconds_total", "counter", "cpu seconds", "cpu", "CPU time"),
    Metric("host", "load_1m", "gauge", "processes", "load", "Load, mean of one minute"),
    Metric("host", "load_5m", "gauge", "processes", "load", "Load, mean of five minutes"),
    Metric("host", "load_15m", "gauge", "processes", "load", "Load, mean of fifteen minutes"),
    Metric("host", "memory_used_mib", "gauge", "bytes", "memory", "Memory in use", MIB),
    Metric("host", "memory_used_ratio", "gauge", "ratio", "memory", "Memory in use, of what the host has"),
    Metric("host", "memory_capacity_mib", "gauge", "bytes", "memory", "Memory of the host", MIB),
    Metric("host", "swap_used_mib", "gauge", "bytes", "memory", "Swap in use", MIB),
    Metric("host", "disk_used_gib", "gauge", "bytes", "space", "Disk space in use", GIB),
    Metric("host", "disk_capacity_gib", "gauge", "bytes", "space", "Disk space of the host", GIB),
    *(Metric("host", key, "counter", "seconds", "pressure", words) for key, words in _PRESSURE),
    *(Metric("host", key, "counter", unit, "disk", f"Disks: {words}") for key, unit, words in _DISK),
    *(Metric("host", key, "counter", unit, "network", f"Network: {words}") for key, unit, words in _NETWORK),
    *(
        Metric("host", f"device_{key}", "counter", unit, "disk", f"Disk: {words}", part="device")
        for key, unit, words in _DISK
    ),
    Metric("host", "device_disk_busy_seconds_total", "counter", "seconds", "disk", "Disk: busy", part="device"),
    *(
        Metric("host", f"device_{key}", "counter", unit, "network", f"Network card: {words}", part="device")
        for key, unit, words in _NETWORK
    ),
    Metric("host", "power_watts", "gauge", "watts", "power", "Power drawn, as its BMC measures"),
    Metric("host", "energy_joules_total", "counter", "joules", "power", "Power of the CPU packages", part="package"),
    Metric("host", "temperature_celsius", "gauge", "celsius", "temperature", "Temperature", part="sensor"),
    Metric(
        "host", "samples_dropped_total", "counter", "messages", "pipeline", "Samples dropped while nobody took them"
    ),
)
WORKLOAD = (
    Metric("workload", "cpu_used_cores", "gauge", "cores", "cpu", "CPU in use"),
    Metric("workload", "cpu_used_ratio", "gauge", "ratio", "cpu", "CPU in use, of its allotment"),
    Metric("workload", "cpu_allotted_cores", "gauge", "cores", "cpu", "CPU allotted"),
    Metric("workload", "cpu_seconds_total", "counter", "cpu seconds", "cpu", "CPU time"),
    Metric("workload", "cpu_steal_seconds_total", "counter", "seconds", "cpu", "Time its CPUs queued for the host's"),
    Metric("workload", "cpu_wait_seconds_total", "counter", "seconds", "cpu", "Time its CPUs waited for the host's"),
    Metric("workload", "cpu_throttled_seconds_total", "counter", "seconds", "cpu", "Time held back by its CPU limit"),
    Metric("workload", "memory_used_mib", "gauge", "bytes", "memory", "Memory that the host pays", MIB),
    Metric("workload", "memory_guest_used_mib", "gauge", "bytes", "memory", "Memory in use as the guest sees it", MIB),
    Metric("workload", "memory_allotted_mib", "gauge", "bytes", "memory", "Memory allotted", MIB),
    Metric("workload", "processes", "gauge", "processes", "processes", "Processes"),
    *(Metric("workload", key, "counter", unit, "disk", f"Disks: {words}") for key, unit, words in _DISK),
    *(Metric("workload", key, "counter", unit, "network", f"Network: {words}") for key, unit, words in _NETWORK),
)
COLLECTOR = (
    Metric("collector", "messages_total", "counter", "messages", "pipeline", "Messages handled"),
    Metric("collector", "messages_lost_total", "counter", "messages", "pipeline", "Messages lost before being handled"),
    Metric("collector", "samples_stored_total", "counter", "samples", "pipeline", "Samples stored"),
    Metric("collector", "samples_dropped_total", "counter", "samples", "pipeline", "Samples dropped, store away"),
    Metric("collector", "lag_seconds", "gauge", "seconds", "pipeline", "Age of the newest sample when handled"),
)
# What the database knows, written once a minute (`inventory`).
INVENTORY = (
    Metric("site", "hosts", "gauge", "hosts", "inventory", "Enrolled hosts, by power", part="power"),
    Metric("site", "workloads", "gauge", "workloads", "inventory", "Workloads, by kind and state", part="state"),
    Metric("site", "operations", "gauge", "operations", "inventory", "Operations not ended, by state", part="state"),
    Metric("site", "power_model_watts", "gauge", "watts", "inventory", "Power drawn, by the hosts' models"),
    Metric("workload", "info", "gauge", "", "inventory", "1 for each workload: its name and where it is"),
)

METRICS = HOST + WORKLOAD + COLLECTOR + INVENTORY
BY_NAME = {metric.name: metric for metric in METRICS}
HOST_BY_KEY = {metric.key: metric for metric in HOST}
WORKLOAD_BY_KEY = {metric.key: metric for metric in WORKLOAD}


def metrics_of(thing: Of, topic: str = "") -> tuple[Metric, ...]:
    """The metrics of hosts or of workloads, of one topic or of all, in the order in which people read them."""
    return tuple(metric for metric in METRICS if metric.of == thing and topic in ("", metric.topic))
