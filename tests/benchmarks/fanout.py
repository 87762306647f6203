"""1,000 websocket clients, each watching 1 of 200 objects (and of 20) at 1 Hz, through the whole real pipeline.

    python -m tests.benchmarks fanout

From the sample's own time on the simulated planes, over the Redis stream, the collector, its publishing, and the one
web process, to the client that has parsed the message. Goal (issue 5): p99 below 500 ms on 2 cores, on which planes and
clients run as well. Beside it: CPU and memory of the web process for each client.
"""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from hosts.models import Host, Plane, Rack, Site
from hosts.plane.streams import SAMPLES, SAMPLES_KEPT
from hosts.signing import signing_key
from tests.benchmarks.pipeline_parts import Parts, cpu_s, free_port, manage, memory_mib, parts_run, process, wait_for
from tests.benchmarks.plane_simulated import SimulatedHost, fields_of
from tests.stack import CHECKOUT

CLIENTS, OBJECTS, SECONDS, SETTLE_S, GOAL_S = 1000, 200, 30.0, 5.0, 0.5


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    hosts = _hosts_make()
    cookie = _login()
    port = free_port()
    with parts_run() as parts:
        environment = parts.environment | {"STOWAGE_PORT": str(port)}
        with (
            process(manage("collect"), environment, parts.folder / "collector.log") as collector,
            process(manage("web", "--port", str(port)), environment, parts.folder / "web.log") as web,
            ExitStack() as stack,
        ):
            wait_for(lambda: _is_listening(port), "the web process listens")
            stop = threading.Event()
            stack.callback(stop.set)
            _planes_run(parts, hosts, stop)
            print(f"fan-out: {CLIENTS:,} clients, one sample a second each (goal p99 < {GOAL_S * 1000:.0f} ms)")
            for count in (OBJECTS, OBJECTS // 10):
                objects = [f"host:{host.pk}" for host, _ in hosts[:count]]
                _measure(parts, objects, port, cookie, {"web": web, "collector": collector, "Redis": parts.redis_pid})


def _hosts_make() -> list[tuple[Host, str]]:
    rack = Rack.objects.create(site=Site.objects.create(name="fanout"), name="r1")
    hosts = Host.objects.bulk_create(
        Host(name=f"fan-{n:03}", rack=rack, management_address="10.0.0.1", lifecycle=Host.Lifecycle.ENROLLED)
        for n in range(OBJECTS)
    )
    keys = [signing_key(f"token of {host.name}") for host in hosts]
    Plane.objects.bulk_create(
        Plane(kind="host", name=host.name, token_sha256=key) for host, key in zip(hosts, keys, strict=True)
    )
    return list(zip(hosts, keys, strict=True))


def _login() -> str:
    client = Client(SERVER_NAME="localhost")
    client.force_login(get_user_model().objects.create_superuser("fanout", password="bench-only-password"))
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _planes_run(parts: Parts, hosts: list[tuple[Host, str]], stop: threading.Event) -> None:
    """All hosts' planes in a thread, each host once a second, spread over the second as real ones are."""
    planes = [SimulatedHost(host.name, key, [], n) for n, (host, key) in enumerate(hosts)]

    def run() -> None:
        client, began, number = parts.client, time.monotonic(), 0
        while not stop.is_set():
            plane = planes[number % len(planes)]
            time.sleep(max(0.0, began + number / len(planes) - time.monotonic()))
            client.xadd(
                SAMPLES, fields_of(plane, plane.message(time.time(), 1.0)), maxlen=SAMPLES_KEPT, approximate=True
            )
            number += 1

    threading.Thread(target=run, daemon=True).start()


def _measure(parts: Parts, objects: list[str], port: int, cookie: str, pids: dict[str, int]) -> None:
    plan = {
        "url": f"ws://localhost:{port}/ws/live/",
        "origin": f"http://localhost:{port}",
        "cookie": cookie,
        "clients": CLIENTS,
        "objects": objects,
        "seconds": SECONDS,
        "settle_s": SETTLE_S,
    }
    file = parts.folder / "clients.json"
    file.write_text(json.dumps(plan))
    before_mib = memory_mib(pids["web"])
    command = [sys.executable, "-m", "tests.benchmarks.fanout_clients", str(file)]
    clients = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert clients.stdout is not None
    assert clients.stdout.readline() == "ready\n", "the clients did not get in"
    assert clients.stdout.readline() == "counting\n"
    cpu, began = {name: cpu_s(pid) for name, pid in pids.items()}, time.monotonic()
    told: dict[str, Any] = json.loads(clients.stdout.readline())
    elapsed = time.monotonic() - began
    shares = {name: (cpu_s(pid) - cpu[name]) / elapsed for name, pid in pids.items()}
    grown_kib = (memory_mib(pids["web"]) - before_mib) * 1024 / CLIENTS
    clients.wait(30)
    verdict = ("met" if told["p99_s"] < GOAL_S else "NOT met") if len(objects) == OBJECTS else "no goal"
    latency = (
        f"p50 {told['p50_s'] * 1000:.0f} ms, p99 {told['p99_s'] * 1000:.0f} ms, most {told['most_s'] * 1000:.0f} ms"
    )
    rate = told["deliveries"] / told["seconds"]
    print(f"  {len(objects)} objects: {latency}, {verdict}")
    print(f"    {rate:,.0f} deliveries/s of {told['bytes']:.0f} bytes; no client got fewer than {told['fewest']}")
    print(f"    all were open after {told['opened_s']:.0f} s, {told['ended']} ended before their time")
    print(f"    {', '.join(f'{name} {share:.0%} of a core' for name, share in shares.items())}")
    print(f"    memory of the web process {memory_mib(pids['web']):.0f} MiB, {grown_kib:.0f} KiB for each client")
