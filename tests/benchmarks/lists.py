"""The list of 1,000 workloads: SQL statements, bytes of the first page, p95; then the same with a dead host.

    python -m tests.benchmarks lists

Goals (issue 2): at most 10 statements, 200 KB, 150 ms, and no change by the dead host.
"""

from __future__ import annotations

import logging
import statistics
import time
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone

from hosts.models import Host, Rack, Site
from workloads.models import Container, VirtualMachine, Workload

HOSTS, WORKLOADS, ROUNDS = 40, 1000, 60


def data_center_make() -> None:
    """40 hosts that were just heard, 1,000 workloads, half of each kind."""
    now = timezone.now()
    rack = Rack.objects.create(site=Site.objects.create(name="bench"), name="r1")
    hosts = Host.objects.bulk_create(
        Host(
            name=f"host-{n:02}",
            rack=rack,
            management_address=f"10.0.0.{n + 1}",
            lifecycle=Host.Lifecycle.ENROLLED,
            power=Host.Power.ON,
            last_seen_at=now + timedelta(hours=1),
            machine_id=f"{n:032x}",
            cpu_cores=32,
            memory_mib=262144,
        )
        for n in range(HOSTS)
    )
    for n in range(WORKLOADS):
        model, kind = (VirtualMachine, "vm") if n % 2 else (Container, "container")
        model.objects.create(
            kind=kind,
            name=f"workload-{n:04}",
            host=hosts[n % HOSTS],
            state=Workload.State.RUNNING,
            cpu_cores=2,
            memory_mib=2048,
        )


def measure(client: Client, address: str) -> tuple[int, int, float, float]:
    """Statements, bytes, median and p95 in milliseconds of one page."""
    statements: list[str] = []

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        statements.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        response = client.get(address)
    assert response.status_code == 200, response.status_code
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(address)
        times.append((time.perf_counter() - began) * 1000)
    return len(statements), len(response.content), statistics.median(times), sorted(times)[int(ROUNDS * 0.95) - 1]


def main() -> None:
    logging.getLogger("datacenter.metrics.live").setLevel(logging.ERROR)  # there is no Redis here
    data_center_make()
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.create_superuser("bench", password="bench-only-password"))
    alive = measure(client, "/workloads/")
    Host.objects.filter(name="host-07").update(last_seen_at=timezone.now() - timedelta(hours=1))
    dead = measure(client, "/workloads/")
    print("list of 1,000 workloads        statements   bytes    median ms   p95 ms   (goal <= 10, 200,000, p95 < 150)")
    for name, row in (("all hosts answer", alive), ("one host of the list dead", dead)):
        print(f"  {name:28} {row[0]:10} {row[1]:8} {row[2]:10.1f} {row[3]:9.1f}")
    print(f"  ratio of the medians, dead : alive {dead[2] / alive[2]:.2f}")
