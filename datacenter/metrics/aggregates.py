"""Five-minute min, avg, p95 and max of every metric, from the store of 30 days to the one of 13 months.

Made from the first store by PromQL and not from the stream, so that a collector that was away catches up. Of a counter
it is the growth in a second that is kept, which knows of counters that began anew.

Samples may come hours late, from a host that could not send. The bucket they fell into is then made again, and the
newer answer gets the later time within its bucket: a store has no way of replacing a point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from datacenter.metrics.store import MetricsStore, Sample
from datacenter.metrics.table import METRICS, Kind, Metric

BUCKET_S = 300
LATE_S = 20  # samples of a bucket may still be under way this long after its end
CATCH_UP_MOST = 288  # buckets: a day
POINT_BEFORE_END_S = 60.0  # a bucket's point; its later versions lie behind, a millisecond for each minute
RATE_STEP_S = 30  # of the rates whose p95 and max are wanted
CACHE_TRUSTS_S = 3000.0  # the stores' rollup cache takes older data for final; a little less than its flag says
_OF = '{metric}{{aggregate=""}}'  # one store may serve as both
_RATES = f"rate({_OF}[{RATE_STEP_S}s])[5m:{RATE_STEP_S}s]"
FUNCTIONS: dict[Kind, dict[str, str]] = {
    "gauge": {
        "min": f"min_over_time({_OF}[5m])",
        "avg": f"avg_over_time({_OF}[5m])",
        "p95": f"quantile_over_time(0.95, {_OF}[5m])",
        "max": f"max_over_time({_OF}[5m])",
    },
    "counter": {
        "avg": f"rate({_OF}[5m])",
        "p95": f"quantile_over_time(0.95, {_RATES})",
        "max": f"max_over_time({_RATES})",
    },
}


def buckets_due(done_until: float, now: float) -> Iterator[float]:
    """Ends of the buckets that are complete and not made yet, oldest first; at most a day of them."""
    last = (now - LATE_S) // BUCKET_S * BUCKET_S
    end = max(done_until // BUCKET_S * BUCKET_S + BUCKET_S, last - (CATCH_UP_MOST - 1) * BUCKET_S)
    while end <= last:
        yield end
        end += BUCKET_S


def bucket_of(at: float) -> float:
    """The end of the bucket that a sample falls into."""
    return math.ceil(at / BUCKET_S) * float(BUCKET_S)


def is_bucket_made(end: float, now: float) -> bool:
    """Whether the bucket's time for aggregates has passed."""
    return end + LATE_S <= now


def aggregate(raw: MetricsStore, long: MetricsStore, bucket_end: float, now: float) -> int:
    """Writes one bucket's aggregates, labelled `aggregate`; how many. The newest of several answers counts."""
    minutes = max(0.0, min((now - bucket_end) // 60, (POINT_BEFORE_END_S - 1) * 1000))
    at = bucket_end - POINT_BEFORE_END_S + minutes / 1000
    count = 0
    for metric in METRICS:
        samples = list(_samples(raw, metric, bucket_end, at))
        long.write(samples)
        count += len(samples)
    return count


def _samples(raw: MetricsStore, metric: Metric, bucket_end: float, at: float) -> Iterator[Sample]:
    for name, function in FUNCTIONS[metric.kind].items():
        for row in raw.query(function.format(metric=metric.name), at=bucket_end):
            yield Sample(metric.name, {**_labels(row.labels), "aggregate": name}, row.points[0][1], at)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "__name__"}
