"""Lines for the charts of a host or a workload, from the metrics store."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from datacenter.metrics.store import MetricsStore, Series

POINTS = 240
STORE_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Line:
    """One line of a chart; a value for each of the chart's times, None where nothing is known."""

    label: str
    unit: str
    values: list[float | None]


# thing and topic -> (label, unit, PromQL with the thing's id as a parameter)
_LINES: dict[tuple[str, str], tuple[tuple[str, str, str], ...]] = {
    ("host", "cpu"): (
        ("CPU in use", "cores", 'stowage_host_cpu_used_cores{{host_uuid="{id}"}}'),
        ("CPU of the host", "cores", 'stowage_host_cpu_capacity_cores{{host_uuid="{id}"}}'),
    ),
    ("host", "memory"): (
        ("Memory in use", "GiB", 'stowage_host_memory_used_bytes{{host_uuid="{id}"}} / 2^30'),
        ("Memory of the host", "GiB", 'stowage_host_memory_capacity_bytes{{host_uuid="{id}"}} / 2^30'),
    ),
    ("workload", "cpu"): (("CPU in use", "cores", 'stowage_workload_cpu_used_cores{{workload_uuid="{id}"}}'),),
    ("workload", "memory"): (
        ("Memory in use", "MiB", 'stowage_workload_memory_used_bytes{{workload_uuid="{id}"}} / 2^20'),
    ),
}
TOPICS = ("cpu", "memory")


def history(
    thing: str, thing_id: str, topic: str, end: float, hours: float, store: MetricsStore | None = None
) -> tuple[list[float], list[Line]]:
    """Times and lines of the hours up to `end`. `thing_id` must be a UUID that the database knows.

    Blocks for up to 3 s a line; raises Unreachable, TimedOut or Rejected.
    """
    client = store or MetricsStore(settings.METRICS_URL, timeout_s=STORE_TIMEOUT_S)
    step_s = max(5.0, hours * 3600 / POINTS)
    start = end - hours * 3600
    try:
        found = [
            (label, unit, client.query_range(promql.format(id=thing_id), start, end, step_s))
            for label, unit, promql in _LINES[thing, topic]
        ]
    finally:
        if store is None:
            client.close()
    times = sorted({at for _, _, series in found for one in series for at, _ in one.points})
    return times, [Line(label, unit, _values(series, times)) for label, unit, series in found]


def _values(series: list[Series], times: list[float]) -> list[float | None]:
    known = {at: value for one in series for at, value in one.points}
    return [known.get(at) for at in times]
