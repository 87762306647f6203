"""Demand profiles of 1,000 workloads x 4 weeks out of a seeded VictoriaMetrics: seconds, queries, rows, bytes.

    python -m tests.benchmarks profiles

Three rows: the first time (all 168 hours), one hour later (what the task does every hour), and that hour for
10,000 workloads. Seeding the store is not measured.
"""

from __future__ import annotations

import json
import random
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from django.db.models.functions import Length

from datacenter.metrics.past_weeks import KEYS
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.table import WORKLOAD_BY_KEY
from datacenter.models import DemandProfile
from datacenter.services.profiling import profiles_refresh
from hosts.models import Host, Rack, Site
from tests.datacenter.metrics.real_store import make_searchable, running_store
from workloads.models import Container, Workload

SOME, MANY, WEEKS = 1_000, 10_000, 4
BUCKET_MS = 300_000


class Counted(MetricsStore):
    """A store that counts its queries."""

    queries = 0

    def rows_range(self, *arguments: Any) -> Any:
        self.queries += 1
        return super().rows_range(*arguments)


def workloads_make(count: int) -> list[str]:
    """So many containers on one host; their UUIDs."""
    site = Site.objects.get_or_create(name="profiles")[0]
    rack = Rack.objects.get_or_create(site=site, name="r1")[0]
    host = Host.objects.get_or_create(
        name="profiled", defaults={"rack": rack, "management_address": "10.9.0.1", "lifecycle": "enrolled"}
    )[0]
    made = [
        Container.objects.create(
            kind="container", name=f"profiled-{uuid.uuid4().hex[:12]}", host=host, state=Workload.State.RUNNING
        )
        for _ in range(count)
    ]
    return [str(row.pk) for row in made]


def lines(uuids: list[str], times: str, rows: list[str]) -> Iterator[bytes]:
    """VictoriaMetrics' JSON lines: each workload's averages and maxima of every metric that profiles read."""
    keys = [key for several in KEYS.values() for key in several]
    for number, one in enumerate(uuids):
        for key in keys:
            for statistic in ("avg", "max"):
                labels = {"__name__": WORKLOAD_BY_KEY[key].name, "workload_uuid": one, "kind": "container"}
                metric = json.dumps({**labels, "site": "profiles", "aggregate": statistic})
                values = rows[(number + len(key)) % len(rows)]
                yield f'{{"metric":{metric},"values":{values},"timestamps":{times}}}\n'.encode()


def seed(url: str, uuids: list[str], moments_ms: list[int]) -> None:
    chance = random.Random(5)
    rows = [json.dumps([round(chance.expovariate(1), 3) for _ in moments_ms]) for _ in range(16)]
    body = lines(uuids, json.dumps(moments_ms), rows)
    httpx.post(f"{url}/api/v1/import", content=body, timeout=900).raise_for_status()


def measured(store: Counted, now: datetime) -> tuple[float, float, int]:
    """Seconds, CPU seconds of this process, queries."""
    store.queries, began, cpu_began, since = 0, time.monotonic(), time.process_time(), None
    while True:
        since = profiles_refresh(store, now, since)
        if since is None:
            return time.monotonic() - began, time.process_time() - cpu_began, store.queries


def main() -> None:
    now = datetime.now(UTC).replace(minute=10, second=0, microsecond=0)
    end_ms = int(now.timestamp() * 1000) // BUCKET_MS * BUCKET_MS - 60_000
    with (
        tempfile.TemporaryDirectory(prefix="stowage-profiles-") as data,
        running_store(Path(data), "13") as (url, plain),
    ):
        store = Counted(url, timeout_s=120)
        print(f"\n== profiles: {SOME:,} workloads x {WEEKS} weeks of five-minute aggregates")
        began = time.monotonic()
        seed(url, workloads_make(SOME), [end_ms - BUCKET_MS * n for n in range(WEEKS * 2016 + 24, -1, -1)])
        make_searchable(plain)
        print(f"   (seeded in {time.monotonic() - began:.0f} s)")
        _row("the first time", *measured(store, now - timedelta(hours=1)))
        _row("an hour later", *measured(store, now))
        hour = [
            end_ms - week * 2016 * BUCKET_MS - BUCKET_MS * n
            for week in range(WEEKS - 1, -1, -1)
            for n in range(15, -1, -1)
        ]
        seed(url, workloads_make(MANY - SOME), hour)
        make_searchable(plain)
        DemandProfile.objects.update(refreshed_until=now.replace(minute=0) - timedelta(hours=1))
        _row(f"an hour, {MANY:,} workloads", *measured(store, now))
    stored = DemandProfile.objects.annotate(size=Length("hours")).first()
    size = stored.size if stored else 0
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"   {DemandProfile.objects.count():,} rows of {size:,} bytes; peak memory {peak_mib:,.0f} MiB")


def _row(what: str, seconds: float, cpu_seconds: float, queries: int) -> None:
    rows = DemandProfile.objects.count()
    print(f"   {what:26} {seconds:8.1f} s ({cpu_seconds:.1f} s CPU) {queries:6,} queries {rows:8,} rows", flush=True)
