"""Hours of the last weeks from the five-minute store: all workloads at once, one query for a resource and week."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from datacenter.metrics.aggregates import bucket_of
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.table import WORKLOAD_BY_KEY
from datacenter.metrics.week import hour_of_week

WEEKS = 4
# A resource's metrics; of several the sum counts.
KEYS: Mapping[str, tuple[str, ...]] = {
    "cpu": ("cpu_used_cores",),
    "memory": ("memory_used_mib",),
    "disk": ("disk_read_bytes_total", "disk_written_bytes_total"),
    "network": ("network_received_bytes_total", "network_sent_bytes_total"),
}
_MIDDLE_S = 150.0  # of a bucket, before its end


@dataclass
class HourSamples:
    """What one workload used in one hour of the week, in several weeks: five-minute averages, and highest samples."""

    values: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


Sampled = dict[str, dict[int, HourSamples]]  # workload uuid -> hour of the week -> what was sampled


def hours_read(store: MetricsStore, resource: str, first: datetime, hours: int, weeks: int = WEEKS) -> Sampled:
    """What all workloads used in `hours` hours from `first` (local time, a full hour) and in the same hours of the
    weeks before. As many queries as weeks. Raises Unreachable, TimedOut or Rejected."""
    found: Sampled = defaultdict(lambda: defaultdict(HourSamples))
    zone = first.tzinfo
    assert isinstance(zone, ZoneInfo)
    for week in range(weeks):
        # by the wall clock: across a change of the clocks eight in the morning stays eight in the morning
        start = first - timedelta(weeks=week)
        end = start + timedelta(hours=hours)
        if start.timestamp() >= end.timestamp():
            continue  # an hour that the clocks skipped
        for uuid, statistic, bucket, value in _buckets(store, resource, start.timestamp(), end.timestamp()):
            hour = hour_of_week(datetime.fromtimestamp(bucket - _MIDDLE_S, zone))
            samples = found[uuid][hour]
            (samples.values if statistic == "avg" else samples.peaks).append(value)
    return found


def _buckets(store: MetricsStore, resource: str, start: float, end: float) -> Iterator[tuple[str, str, float, float]]:
    """Workload uuid, statistic, end of the bucket and value; a bucket that was made again counts as made last."""
    names = "|".join(WORKLOAD_BY_KEY[key].name for key in KEYS[resource])
    selector = f'{{__name__=~"{names}",aggregate=~"avg|max"}}'
    summed: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for series in store.samples(selector, end - start, end):
        newest = {bucket_of(at): value for at, value in series.points}
        into = summed[series.labels.get("workload_uuid", ""), series.labels["aggregate"]]
        for bucket, value in newest.items():
            if start < bucket <= end:
                into[bucket] = into.get(bucket, 0.0) + value
    for (uuid, statistic), buckets in summed.items():
        for bucket, value in buckets.items():
            yield uuid, statistic, bucket, value
