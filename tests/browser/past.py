"""A past that looks lived in, for previews: an hour of samples, a year of five-minute aggregates."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator

from datacenter.metrics.store import Sample
from datacenter.metrics.table import Metric
from datacenter.metrics.topics import TOPICS, ThingKind
from hosts.models import Host
from workloads.models import Workload

DAY_S = 86400
_CHANCE = random.Random(7)
# topic -> (mean, swing) of a gauge, or of a counter's growth in a second, in base units
_SHAPES = {
    "cpu": (0.8, 0.5),
    "memory": (600 * 2**20, 120 * 2**20),
    "disk": (3e6, 2.5e6),
    "network": (9e5, 8e5),
    "pressure": (0.04, 0.04),
    "load": (1.6, 1.2),
    "temperature": (52.0, 8.0),
    "power": (150.0, 45.0),
    "space": (40 * 2**30, 2 * 2**30),
    "processes": (30.0, 4.0),
}


def _drawn(of: ThingKind) -> list[Metric]:
    """The metrics that charts draw."""
    rows = [row.metric for topic in TOPICS[of].values() for row in topic.rows]
    return [metric for metric in rows if metric.topic in _SHAPES]


def _things() -> Iterator[tuple[ThingKind, dict[str, str], float, float]]:
    """Of what, its labels, its cores and MiB, of all that run."""
    for host in (
        Host.objects.filter(lifecycle="enrolled", power="on").exclude(name="node-07").select_related("rack__site")
    ):
        labels = {"host_uuid": str(host.pk), "host": host.name, "site": host.rack.site.name}
        yield "host", labels, host.cpu_cores, host.memory_mib
    for row in Workload.objects.filter(state="running").exclude(host=None).select_related("host__rack__site"):
        labels = {"workload_uuid": str(row.pk), "kind": row.kind, "site": row.host.rack.site.name}
        yield "workload", labels, row.cpu_cores, row.memory_mib


def _value(metric: Metric, cores: float, memory_mib: float, at: float, phase: float) -> float:
    if metric.key in ("cpu_capacity_cores", "cpu_allotted_cores"):
        return cores
    if metric.key in ("memory_capacity_mib", "memory_allotted_mib"):
        return memory_mib * 2**20
    if metric.key == "disk_capacity_gib":
        return 100 * 2**30
    mean, swing = _SHAPES[metric.topic]
    if metric.topic == "cpu":
        mean, swing = cores * 0.3, cores * 0.22
    if metric.topic == "memory":
        mean, swing = memory_mib * 2**20 * 0.5, memory_mib * 2**20 * 0.1
    office = math.sin(2 * math.pi * (at / DAY_S - 0.3)) * (1 if (at / DAY_S + 3) % 7 < 5 else 0.3)
    minute = 0.3 * math.sin(at / 190 + phase) + 0.2 * _CHANCE.uniform(-1, 1)
    return max(0.0, mean + swing * (0.6 * office + minute))


def hour_of_samples() -> Iterator[Sample]:
    """Every five seconds up to now, with ten minutes missing of the first host."""
    now = time.time()
    for phase, (of, labels, cores, memory_mib) in enumerate(_things()):
        for metric in _drawn(of):
            parted = labels | ({metric.part: "cpu0"} if metric.part else {})
            total = 1e9
            for before in range(3600, 0, -5):
                value = _value(metric, cores, memory_mib, now - before, phase)
                total += 5 * value
                if phase == 0 and 1500 < before < 2100:
                    continue
                yield Sample(metric.name, parted, total if metric.kind == "counter" else value, now - before)


def year_of_aggregates() -> Iterator[Sample]:
    """Of two hosts and two workloads: every five minutes for four weeks, before those for a year twice a day."""
    now = time.time() // 300 * 300
    things = list(_things())
    few = [thing for of in ("host", "workload") for thing in [one for one in things if one[0] == of][:2]]
    for phase, (of, labels, cores, memory_mib) in enumerate(few):
        for metric in _drawn(of):
            parted = labels | ({metric.part: "cpu0"} if metric.part else {})
            for before in [*range(365 * DAY_S, 28 * DAY_S, -12 * 3600), *range(28 * DAY_S, 0, -300)]:
                value = _value(metric, cores, memory_mib, now - before, phase)
                for statistic, share in (("min", 0.6), ("avg", 1.0), ("p95", 1.25), ("max", 1.5)):
                    yield Sample(metric.name, {**parted, "aggregate": statistic}, value * share, now - before - 60)
