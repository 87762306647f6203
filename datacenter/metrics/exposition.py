"""The newest values of everything in Prometheus' text format, for a user's own Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from datacenter.metrics.inventory import inventory_samples
from datacenter.metrics.live import Values, latest_read
from datacenter.metrics.store import MetricsStore, Sample, quoted
from datacenter.metrics.table import BY_NAME, HOST_BY_KEY, WORKLOAD_BY_KEY, Metric
from hosts.errors import DriverError
from hosts.models import Host
from workloads.models import Workload

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COLLECTORS_OWN = '{__name__=~"stowage_collector_.+"}'


@dataclass(frozen=True)
class Labelled:
    """A thing whose newest values are told, and the labels they get."""

    source: str
    by_key: Mapping[str, Metric]
    labels: Mapping[str, str]


def things() -> list[Labelled]:
    """Every enrolled host and every workload that is somewhere. Two queries."""
    hosts = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED).select_related("rack__site")
    found = [
        Labelled(
            f"host:{host.pk}",
            HOST_BY_KEY,
            {"host_uuid": str(host.pk), "host": host.name, "site": host.rack.site.name},
        )
        for host in hosts
    ]
    rows = Workload.objects.exclude(host=None).exclude(state=Workload.State.GONE)
    for pk, name, kind, site in rows.values_list("pk", "name", "kind", "host__rack__site__name"):
        labels = {"workload_uuid": str(pk), "workload": name, "kind": kind, "site": site}
        found.append(Labelled(f"workload:{pk}", WORKLOAD_BY_KEY, labels))
    return found


def newest_samples(found: Iterable[Labelled], values: Values) -> list[Sample]:
    """What is fresh; a thing that nobody has spoken of for half a minute has none, as with any other exporter."""
    samples = []
    for thing in found:
        for key, value in values.get(thing.source, {}).items():
            metric = thing.by_key.get(key)
            if metric is not None and not metric.part and isinstance(value, int | float):
                samples.append(Sample(metric.name, thing.labels, float(value * metric.scale), 0.0))
    return samples


def collector_samples(store: MetricsStore) -> list[Sample]:
    """The collector's own figures, which it writes to the store; none while that is away."""
    try:
        rows = store.query(COLLECTORS_OWN)
    except DriverError:
        return []
    return [Sample(row.labels["__name__"], {}, row.points[0][1], 0.0) for row in rows]


def exposition(samples: Iterable[Sample]) -> bytes:
    """The samples without times, each metric's together behind what it means."""
    families: dict[str, list[str]] = defaultdict(list)
    for sample in samples:
        labels = ",".join(f'{name}="{quoted(value)}"' for name, value in sample.labels.items())
        families[sample.metric].append(f"{sample.metric}{{{labels}}} {sample.value!r}\n")
    parts = []
    for name in sorted(families):
        metric = BY_NAME.get(name)
        parts.append(f"# HELP {name} {_help(metric)}\n# TYPE {name} {metric.kind if metric else 'untyped'}\n")
        parts += families[name]
    return "".join(parts).encode()


def _help(metric: Metric | None) -> str:
    if metric is None:
        return ""
    return f"{metric.words} ({metric.unit})" if metric.unit else metric.words


def metrics_text(store: MetricsStore, now: float) -> bytes:
    """Everything that /metrics tells. Six queries, one read of the newest values, one question to the store."""
    found = things()
    values: dict[str, dict[str, Any]] = latest_read(thing.source for thing in found)
    return exposition([*newest_samples(found, values), *inventory_samples(now, values), *collector_samples(store)])
