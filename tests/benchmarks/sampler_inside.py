"""Inside the lab host: the watching process itself, measured; prints one JSON object.

python -m tests.benchmarks.sampler_inside HOSTD_JSON INTERVAL_S
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import redis

from hosts.plane.config import config_read
from hosts.plane.context import Drivers
from hosts.plane.state_file import StateFile
from hosts.plane.streams import Feed
from hosts.plane.watch import HostWatch
from hosts.plane.watched import KEY, note_of

PORT, ROUNDS, SETTLE_S = 6399, 12, 15.0
URL = f"redis://127.0.0.1:{PORT}/0"


def main(arguments: list[str]) -> int:
    folder = Path(tempfile.mkdtemp())
    config = replace(config_read(arguments[0]), state_dir=str(folder))
    interval_s = float(arguments[1])
    broker = subprocess.Popen(
        ["redis-server", "--port", str(PORT), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        print(json.dumps(measure(config, interval_s, folder)))
    finally:
        broker.terminate()
        broker.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def measure(config: Any, interval_s: float, folder: Path) -> dict[str, Any]:
    drivers = Drivers(config)
    feed = Feed(URL, lambda: "key of the benchmark")
    watch = HostWatch(config, StateFile(folder / "state"), URL, drivers=drivers, feed=feed, interval_s=interval_s)
    stop = threading.Event()
    thread = threading.Thread(target=watch.run, args=(stop,), daemon=True)
    thread.start()
    time.sleep(SETTLE_S)
    client = redis.Redis.from_url(URL)
    seconds = ROUNDS * interval_s
    process_share, daemons_share = shares(seconds)
    newest = json.loads(client.xrevrange("stowage.samples", count=1)[0][1][b"data"])  # type: ignore[index]
    counts = {table["kind"]: len(table["rows"]) for table in newest["workloads"]}
    uuids = {row[0] for table in newest["workloads"] for row in table["rows"]}
    client.set(KEY + config.name, note_of(True, uuids), ex=600)
    time.sleep(3)
    watched_share, _ = shares(30.0)
    client.delete(KEY + config.name)
    stop.set()
    thread.join(10)
    return {
        "vms": counts.get("vm", 0),
        "containers": counts.get("container", 0),
        "seconds": seconds,
        "process_share": process_share,
        "daemons_share": daemons_share,
        "watched_share": watched_share,
        **parts(config, folder, feed),
    }


def parts(config: Any, folder: Path, feed: Feed) -> dict[str, float]:
    """The steps of a beat one by one, in milliseconds; CPU of the whole process, its threads included."""
    drivers = Drivers(config)
    watch = HostWatch(config, StateFile(folder / "parts"), URL, drivers=drivers, feed=feed)
    stop = threading.Event()
    for half in (watch._hypervisor, watch._engine):
        threading.Thread(target=half.run, args=(stop,), daemon=True).start()
    watch._ask(look=True, count=True)

    def sample() -> None:
        watch._ask(look=False, count=True)
        watch._send(watch._sampler.sample([watch._vms(), watch._containers_counted()]))
        assert feed.flush()

    def observe() -> None:
        watch._ask(look=True, count=False)
        watch._observe()
        assert feed.flush()

    running = watch._engine.state().reading.workloads
    found = {
        "sample": cost(sample),
        "observation": cost(observe),
        "files": cost(lambda: watch._containers.counters(running)),
        "libvirt": cost(drivers.hypervisor.domain_counters),
        "engine": cost(drivers.engine.container_counters, 3),
    }
    stop.set()
    milliseconds = {f"{name}_ms": cpu * 1000 for name, (cpu, _) in found.items()}
    return milliseconds | {f"{name}_wall_ms": wall * 1000 for name, (_, wall) in found.items()}


def cost(act: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median CPU seconds of this process and median seconds."""
    act()
    rows = []
    for _ in range(rounds):
        time.sleep(0.3)
        cpu, wall = time.process_time(), time.monotonic()
        act()
        rows.append((time.process_time() - cpu, time.monotonic() - wall))
    return median(cpu for cpu, _ in rows), median(wall for _, wall in rows)


def shares(seconds: float) -> tuple[float, float]:
    """Shares of one core that this process, and libvirtd with dockerd and containerd, used for some time."""
    own, others, began = time.process_time(), daemons_cpu_s(), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    return (time.process_time() - own) / elapsed, (daemons_cpu_s() - others) / elapsed


def daemons_cpu_s() -> float:
    """CPU seconds of this lab host's daemons; its own process namespace hides everybody else's."""
    total = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            if name in ("libvirtd", "dockerd", "containerd"):
                fields = rest.split()
                total += int(fields[11]) + int(fields[12])
    return total / 100


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
