"""A simulated plane of 1,000 hosts x 20 workloads feeding the real Redis, collector and VictoriaMetrics.

    python -m tests.benchmarks ingest

Goal (issue 5): at least 20,000 samples a second held without a backlog. A sample is one figure of one series at one
time, as the store counts. First the thousand planes send at their own pace, a message each in 5 s. Then the collector
is stopped, the same planes' messages pile up in Redis, and it is timed how fast a new collector works them off. Last,
what the store needs for a sample when the same series have run for an hour.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid as uuids
from typing import Any

import httpx

from datacenter.metrics.aggregates import aggregate
from datacenter.metrics.series import Place, sample_read
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.stream import HANDLED, POSITION_KEY
from hosts.models import Host, Plane, Rack, Site
from hosts.signing import signing_key
from tests.benchmarks.pipeline_parts import Parts, cpu_s, manage, memory_mib, parts_run, process, wait_for
from tests.benchmarks.plane_simulated import SimulatedHost
from tests.stack import CHECKOUT
from workloads.models import Workload

HOSTS, WORKLOADS, INTERVAL_S, WARM_UPS, ROUNDS, PILED_UP, GOAL = 1000, 20, 5.0, 3, 12, 10, 20_000
HOUR_HOSTS, HOUR_ROUNDS = 20, 720


def main() -> None:
    hosts = data_center_make()
    with parts_run() as parts:
        _held(parts, hosts)
    with parts_run() as parts:
        _worked_off(parts, hosts)
    with parts_run() as parts:
        _bytes_per_sample(parts)


def data_center_make() -> list[list[Any]]:
    """Rows of the database for all hosts, planes and workloads; what the simulated planes need to know."""
    rack = Rack.objects.create(site=Site.objects.create(name="ingest"), name="r1")
    hosts = Host.objects.bulk_create(
        Host(name=f"sim-{n:04}", rack=rack, management_address="10.0.0.1", lifecycle=Host.Lifecycle.ENROLLED)
        for n in range(HOSTS)
    )
    keys = {host.name: signing_key(f"token of {host.name}") for host in hosts}
    Plane.objects.bulk_create(Plane(kind="host", name=name, token_sha256=key) for name, key in keys.items())
    workloads = [
        Workload(kind="vm" if n % 2 else "container", name=f"{host.name}-{n}", host=host)
        for host in hosts
        for n in range(WORKLOADS)
    ]
    Workload.objects.bulk_create(workloads, batch_size=500)
    of_host: dict[Any, list[list[str]]] = {}
    for row in workloads:
        of_host.setdefault(row.host_id, []).append([row.kind, str(row.pk)])
    return [[host.name, keys[host.name], of_host[host.pk]] for host in hosts]


def _simulate(parts: Parts, hosts: list[list[Any]], interval_s: float, rounds: int) -> dict[str, Any]:
    plan = {"redis_url": parts.redis_url, "hosts": hosts, "interval_s": interval_s, "rounds": rounds}
    file = parts.folder / "plan.json"
    file.write_text(json.dumps(plan))
    command = [sys.executable, "-m", "tests.benchmarks.plane_simulated", str(file)]
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return dict(json.loads(done.stdout))


def _stored(parts: Parts) -> int:
    """How many messages' samples are in the store, by the collector's own position."""
    kept: Any = parts.client.hget(POSITION_KEY, HANDLED)
    return int(kept or 0)


def _held(parts: Parts, hosts: list[list[Any]]) -> None:
    """The planes' own pace: 200 messages a second."""
    with process(manage("collect"), parts.environment, parts.folder / "collector.log") as collector:
        wait_for(lambda: bool(parts.client.client_list()) and cpu_s(collector) > 0.5, "the collector runs")
        _simulate(parts, hosts, INTERVAL_S, WARM_UPS)  # the store makes its index of the series once
        wait_for(lambda: _stored(parts) >= HOSTS * WARM_UPS, "the first rounds are stored", 120)
        pids = {"collector": collector, "Redis": parts.redis_pid, "VictoriaMetrics": parts.metrics_pid}
        before, began = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
        sent = _simulate(parts, hosts, INTERVAL_S, ROUNDS)
        all_messages = HOSTS * WARM_UPS + sent["messages"]
        left = all_messages - _stored(parts)
        ended = time.monotonic()
        wait_for(lambda: _stored(parts) >= all_messages, "all is stored")
        caught_up_s = time.monotonic() - ended
        used = {name: (cpu_s(pid) - before[name]) / (ended - began) for name, pid in pids.items()}
        memory = {name: memory_mib(pid) for name, pid in pids.items()}
        store, cpu, at = MetricsStore(parts.metrics_url, 60.0), time.process_time(), time.monotonic()
        aggregates = aggregate(store, store, time.time(), time.time())
        bucket = f"{aggregates:,} points in {time.monotonic() - at:.1f} s, {time.process_time() - cpu:.1f} s of CPU"
    rate = sent["samples"] / sent["seconds"]
    verdict = "met" if rate >= GOAL and caught_up_s < INTERVAL_S else "NOT met"
    print(
        f"ingest: {HOSTS:,} hosts x {WORKLOADS} workloads, a message each in {INTERVAL_S:.0f} s (goal {GOAL:,}/s held)"
    )
    print(f"  held                     {rate:12,.0f} samples/s for {sent['seconds']:.0f} s, {verdict}")
    print(f"  not stored at the end    {left:12,} messages of {sent['messages']:,}; stored {caught_up_s:.1f} s later")
    size = sent["bytes"] / sent["samples"]
    print(f"  the planes were late by  {sent['late_s']:12.2f} s at most; a sample is {size:.1f} bytes on the way")
    for name, share in used.items():
        print(f"  {name:24} {share:12.1%} of a core, {memory[name]:.0f} MiB")
    print(f"  aggregates of 5 minutes  {bucket}")


def _worked_off(parts: Parts, hosts: list[list[Any]]) -> None:
    """What had piled up while there was no collector; its start-up is counted as well, so the truth is a little better.

    Counting from the first stored message would leave out what it had read until then.
    """
    sent = _simulate(parts, hosts, 0.0, PILED_UP)
    began = time.monotonic()
    with process(manage("collect"), parts.environment, parts.folder / "collector.log") as collector:
        wait_for(lambda: _stored(parts) >= sent["messages"], "all is stored", 300)
        seconds, used = time.monotonic() - began, cpu_s(collector)
    print(f"  worked off               {sent['samples'] / seconds:12,.0f} samples/s when all waits in Redis")
    print(f"  a CPU second of the collector does {sent['samples'] / used:,.0f} samples")


def _bytes_per_sample(parts: Parts) -> None:
    """An hour of 20 hosts, written at once; the store's own figures after it has merged."""
    store = MetricsStore(parts.metrics_url, 60.0)
    hosts = []
    for number in range(HOUR_HOSTS):
        workloads = [["vm" if n % 2 else "container", str(uuids.uuid4())] for n in range(WORKLOADS)]
        place = Place(str(uuids.uuid4()), f"hour-{number}", "ingest")
        owners = {uuid: place.host_uuid for _, uuid in workloads}
        hosts.append((SimulatedHost(place.host, "", workloads, number), place, owners))
    begin = time.time() - HOUR_ROUNDS * INTERVAL_S
    for number in range(HOUR_ROUNDS):
        lines: list[str] = []
        at = begin + number * INTERVAL_S
        for host, place, owners in hosts:
            lines += sample_read(host.message(at, INTERVAL_S), at, place, owners).lines
        store.write_lines("".join(lines).encode())
    for path in ("force_flush", "force_merge"):
        httpx.get(f"{parts.metrics_url}/internal/{path}", timeout=60)
    time.sleep(3)
    figures = httpx.get(f"{parts.metrics_url}/metrics").text
    rows, size = _figure(figures, "vm_rows"), _figure(figures, "vm_data_size_bytes")
    index = _figure(figures, "vm_data_size_bytes/index")
    of = f"{rows / 1e6:.1f} million samples, an hour of {HOUR_HOSTS} hosts"
    print(f"  the store's bytes per sample  {size / rows:7.2f}, of {of}")
    print(f"  and for the series' names     {index / 2**20:7.1f} MiB of index, once for each series")


def _figure(text: str, name: str) -> float:
    """A figure of the store's own, summed over its kinds of storage, or of its index."""
    metric, _, of_index = name.partition("/")
    lines = re.findall(rf'^{metric}{{type="([^"]*)"}} (\S+)$', text, re.MULTILINE)
    return sum(float(value) for kind, value in lines if kind.startswith("indexdb") == bool(of_index))
