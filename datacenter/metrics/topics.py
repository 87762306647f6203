"""Which lines the charts have: for a host, a workload and a site, topic by topic. Rows of data, nothing else.

Names, words and units come from the table of all metrics (`table`); here stands only what is drawn together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from datacenter.metrics.table import BY_NAME, HOST_BY_KEY, WORKLOAD_BY_KEY, Metric

ThingKind = Literal["host", "workload", "site"]
Join = Literal["sum", "max", "count"]


@dataclass(frozen=True)
class Row:
    """One line of a chart: a metric, how several series of one thing become one, and whether it is a limit."""

    metric: Metric
    join: Join = "sum"
    is_limit: bool = False
    words: str = ""
    sampled_every_s: float = 5.0  # hosts/plane: every 5 s, every second while somebody watches

    @property
    def label(self) -> str:
        return self.words or self.metric.words

    @property
    def unit(self) -> str:
        return "hosts" if self.join == "count" else self.metric.shown_unit

    @property
    def is_counter(self) -> bool:
        return self.metric.kind == "counter"


@dataclass(frozen=True)
class Topic:
    """One chart. The first row is the one that is compared with other things."""

    key: str
    title: str
    rows: tuple[Row, ...]


def _host(key: str, words: str = "", join: Join = "sum", *, is_limit: bool = False) -> Row:
    return Row(HOST_BY_KEY[key], join, is_limit, words)


def _workload(key: str, words: str = "", *, is_limit: bool = False) -> Row:
    return Row(WORKLOAD_BY_KEY[key], "sum", is_limit, words)


_HOST = (
    Topic("cpu", "CPU", (_host("cpu_used_cores"), _host("cpu_capacity_cores", is_limit=True))),
    Topic(
        "memory",
        "Memory",
        (_host("memory_used_mib"), _host("swap_used_mib"), _host("memory_capacity_mib", is_limit=True)),
    ),
    Topic("disk", "Disk", (_host("disk_read_bytes_total"), _host("disk_written_bytes_total"))),
    Topic("network", "Network", (_host("network_received_bytes_total"), _host("network_sent_bytes_total"))),
    Topic(
        "pressure",
        "Pressure",
        (
            _host("cpu_pressure_some_seconds_total", "Some work waits for CPU"),
            _host("memory_pressure_some_seconds_total", "Some work waits for memory"),
            _host("io_pressure_some_seconds_total", "Some work waits for disks"),
        ),
    ),
    Topic("load", "Load", (_host("load_1m"), _host("load_5m"), _host("load_15m"))),
    Topic("temperature", "Temperature", (_host("temperature_celsius", "Hottest sensor", "max"),)),
    Topic("power", "Watts", (_host("power_watts"), _host("energy_joules_total"))),
    Topic("space", "Disk space", (_host("disk_used_gib"), _host("disk_capacity_gib", is_limit=True))),
)
_WORKLOAD = (
    Topic("cpu", "CPU", (_workload("cpu_used_cores"), _workload("cpu_allotted_cores", is_limit=True))),
    Topic(
        "memory",
        "Memory",
        (
            _workload("memory_used_mib"),
            _workload("memory_guest_used_mib"),
            _workload("memory_allotted_mib", is_limit=True),
        ),
    ),
    Topic("disk", "Disk", (_workload("disk_read_bytes_total"), _workload("disk_written_bytes_total"))),
    Topic("network", "Network", (_workload("network_received_bytes_total"), _workload("network_sent_bytes_total"))),
    Topic(
        "pressure",
        "Waiting",
        (
            _workload("cpu_steal_seconds_total"),
            _workload("cpu_wait_seconds_total"),
            _workload("cpu_throttled_seconds_total"),
        ),
    ),
    Topic("load", "Processes", (_workload("processes"),)),
)
# A site is the sum over its hosts, drawn by the hosts' own rows.
_SITE_TOPICS = ("cpu", "memory", "disk", "network", "power", "space")
_HOSTS_ON = Topic("hosts", "Hosts on", (Row(HOST_BY_KEY["cpu_used_cores"], "count", words="Hosts heard"),))
_BY_MODEL = Row(BY_NAME["stowage_site_power_model_watts"], sampled_every_s=60.0)
_OF_SITE = {
    "cpu_capacity_cores": "CPU of all hosts",
    "memory_capacity_mib": "Memory of all hosts",
    "disk_capacity_gib": "Disk space of all hosts",
    "power_watts": "Power drawn, as the BMCs measure",
}


_MORE_OF_SITE = {"power": (_BY_MODEL,)}


def _summed(row: Row) -> Row:
    return replace(row, words=_OF_SITE.get(row.metric.key, row.words))


_SITE = (
    _HOSTS_ON,
    *(
        Topic(topic.key, topic.title, tuple(_summed(row) for row in topic.rows) + _MORE_OF_SITE.get(topic.key, ()))
        for topic in _HOST
        if topic.key in _SITE_TOPICS
    ),
)
TOPICS: dict[ThingKind, dict[str, Topic]] = {
    "host": {topic.key: topic for topic in _HOST},
    "workload": {topic.key: topic for topic in _WORKLOAD},
    "site": {topic.key: topic for topic in _SITE},
}
