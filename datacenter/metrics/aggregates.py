"""Five-minute min, avg, p95 and max of every gauge, from the store of 30 days to the one of 13 months.

Made from the first store by PromQL and not from the stream, so that a collector that was away catches up.
"""

from __future__ import annotations

from collections.abc import Iterator

from datacenter.metrics.series import HOST_GAUGES, HOST_METRICS, WORKLOAD_GAUGES, WORKLOAD_METRICS
from datacenter.metrics.store import MetricsStore, Sample

BUCKET_S = 300
LATE_S = 20  # samples of a bucket may still be under way this long after its end
CATCH_UP_MOST = 288  # buckets: a day
FUNCTIONS = {  # aggregate="": one store may serve as both
    "min": 'min_over_time({metric}{{aggregate=""}}[5m])',
    "avg": 'avg_over_time({metric}{{aggregate=""}}[5m])',
    "p95": 'quantile_over_time(0.95, {metric}{{aggregate=""}}[5m])',
    "max": 'max_over_time({metric}{{aggregate=""}}[5m])',
}
METRICS = [HOST_METRICS[key][0] for key in HOST_GAUGES] + [WORKLOAD_METRICS[key][0] for key in WORKLOAD_GAUGES]


def buckets_due(done_until: float, now: float) -> Iterator[float]:
    """Ends of the buckets that are complete and not made yet, oldest first; at most a day of them."""
    last = (now - LATE_S) // BUCKET_S * BUCKET_S
    end = max(done_until // BUCKET_S * BUCKET_S + BUCKET_S, last - (CATCH_UP_MOST - 1) * BUCKET_S)
    while end <= last:
        yield end
        end += BUCKET_S


def aggregate(raw: MetricsStore, long: MetricsStore, bucket_end: float) -> int:
    """Writes one bucket's aggregates, labelled `aggregate`; how many. Doing it twice equals once."""
    samples = [
        Sample(metric, {**_labels(row.labels), "aggregate": name}, row.points[0][1], bucket_end)
        for metric in METRICS
        for name, function in FUNCTIONS.items()
        for row in raw.query(function.format(metric=metric), at=bucket_end)
    ]
    long.write(samples)
    return len(samples)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "__name__"}
