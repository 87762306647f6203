"""Hours of the last weeks from the five-minute store: all workloads at once, two queries for a resource and week."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from datacenter.metrics.aggregates import BUCKET_S
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
HOUR_S = 3600


@dataclass
class HourSamples:
    """What one workload used in one hour of the week, in several weeks: five-minute averages, and highest samples."""

    values: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


Sampled = dict[str, dict[int, HourSamples]]  # workload uuid -> hour of the week -> what was sampled


def hours_read(store: MetricsStore, resource: str, first: datetime, hours: int, weeks: int = WEEKS) -> Sampled:
    """What all workloads used in `hours` hours from `first` (local time, a full hour) and in the same hours of the
    weeks before. Two queries a week. Raises Unreachable, TimedOut or Rejected."""
    found: Sampled = defaultdict(lambda: defaultdict(HourSamples))
    for week in range(weeks):
        # by the wall clock: across a change of the clocks eight in the morning stays eight in the morning
        start = first - timedelta(weeks=week)
        begin, end = start.timestamp(), (start + timedelta(hours=hours)).timestamp()
        if begin < end:  # else it is an hour that the clocks skipped
            _averages(found, store, resource, begin, end, start.tzinfo)
            _peaks(found, store, resource, begin, end, start.tzinfo)
    return found


def _averages(
    found: Sampled, store: MetricsStore, resource: str, begin: float, end: float, zone: tzinfo | None
) -> None:
    """The averages of the buckets that end after `begin`, up to the one that ends at `end`."""
    hour_at = _hours_at(begin, end, BUCKET_S, zone)
    for labels, values in store.rows_range(_summed(resource, "avg"), begin + BUCKET_S, end, BUCKET_S):
        hours = found[labels.get("workload_uuid", "")]
        for at, text in values:
            hours[hour_at[at]].values.append(float(text))


def _peaks(found: Sampled, store: MetricsStore, resource: str, begin: float, end: float, zone: tzinfo | None) -> None:
    """The highest samples of the hours."""
    hour_at = _hours_at(begin, end, HOUR_S, zone)
    promql = f"max_over_time(({_summed(resource, 'max')})[1h:{BUCKET_S}s])"
    for labels, values in store.rows_range(promql, begin + HOUR_S, end, HOUR_S):
        hours = found[labels.get("workload_uuid", "")]
        for at, text in values:
            hours[hour_at[at]].peaks.append(float(text))


def _summed(resource: str, statistic: str) -> str:
    """The resource by workload, bucket by bucket; of a bucket that was made again the last version counts."""
    names = "|".join(WORKLOAD_BY_KEY[key].name for key in KEYS[resource])
    return f'sum by (workload_uuid) (last_over_time({{__name__=~"{names}",aggregate="{statistic}"}}[{BUCKET_S}s]))'


def _hours_at(begin: float, end: float, step_s: int, zone: tzinfo | None) -> dict[float, int]:
    """The hour of the week of each step, by its end: worked out once for all workloads."""
    ends = range(int(begin) + step_s, int(end) + 1, step_s)
    return {float(at): hour_of_week(datetime.fromtimestamp(at - step_s / 2, zone)) for at in ends}
