"""A thousand host planes in one process: their sample messages, signed, into a real Redis at the planes' own pace.

    python -m tests.benchmarks.plane_simulated PLAN_JSON

The messages are what `hosts.plane.sampler` makes of 20 workloads; values move as those of a data center in the day:
half of the workloads idle, counters that grow unevenly, figures that stand still. Prints one JSON object.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import redis

from hosts.plane.sampler import ROW_KEYS
from hosts.plane.streams import SAMPLES, SAMPLES_KEPT
from hosts.signing import signature_of

SPARSE = {"vm": ("processes", "cpu_throttled_seconds_total"), "container": ("memory_guest_used_mib",)}
SPARSE["container"] += ("cpu_steal_seconds_total", "cpu_wait_seconds_total")
KEYS = {kind: [key for key in ROW_KEYS if key not in sparse] for kind, sparse in SPARSE.items()}
STILL = ("dropped_total", "errors_total", "allotted_cores", "allotted_mib", "throttled_seconds_total")
AT_ONCE = 20


class SimulatedWorkload:
    """Values of one workload, moved a little by each look."""

    def __init__(self, uuid: str, kind: str, chance: random.Random) -> None:
        self.uuid, self.keys, self.chance = uuid, KEYS[kind], chance
        self.is_busy = chance.random() < 0.5
        self.values = {key: self._first(key) for key in self.keys}

    def _first(self, key: str) -> float:
        if key == "cpu_allotted_cores":
            return 2.0
        if key.endswith("_mib"):
            return 2048.0 if key == "memory_allotted_mib" else round(self.chance.uniform(200, 1500), 1)
        if key.endswith(("dropped_total", "errors_total")):
            return 0
        return self.chance.randrange(10**6) if key.endswith("_total") else 0.0

    def row(self, interval_s: float) -> list[Any]:
        chance, values = self.chance, self.values
        cores = round(chance.gauss(0.6, 0.15) if self.is_busy else chance.uniform(0, 0.02), 4)
        values["cpu_used_cores"] = max(0.0, cores)
        values["cpu_used_ratio"] = round(values["cpu_used_cores"] / 2.0, 4)
        for key in self.keys[2:]:
            if key.endswith(STILL):
                continue
            if key.endswith("_mib"):
                if chance.random() < (0.5 if self.is_busy else 0.1):
                    values[key] = round(values[key] + chance.uniform(-2, 2), 1)
            elif key.endswith("seconds_total"):
                values[key] = round(values[key] + values["cpu_used_cores"] * interval_s, 3)
            elif key.endswith("_total") and (self.is_busy or chance.random() < 0.2):
                values[key] += chance.randrange(200_000 if "bytes" in key else 200)
        return [self.uuid, *(values[key] for key in self.keys)]


class SimulatedHost:
    """One host's plane."""

    def __init__(self, name: str, key: str, workloads: list[list[str]], seed: int) -> None:
        self.name, self.key = name, key
        chance = random.Random(seed)
        self.workloads = {
            kind: [SimulatedWorkload(uuid, kind, chance) for of_kind, uuid in workloads if of_kind == kind]
            for kind in KEYS
        }
        self.chance, self.counters = chance, dict.fromkeys(HOST_COUNTERS, 0.0)
        self.devices = {key: {"eth0": 0.0, "eth1": 0.0} for key in HOST_DEVICES}

    def message(self, at: float, interval_s: float) -> dict[str, Any]:
        chance = self.chance
        for key in self.counters:
            self.counters[key] = round(self.counters[key] + chance.randrange(100_000) / 10, 1)
        for device in self.devices.values():
            for name in device:
                device[name] += chance.randrange(100_000)
        gauges = {key: round(chance.uniform(1, 20), 4) for key in HOST_GAUGES}
        return {
            "host": self.name,
            "at": at,
            "host_sample": {**gauges, "cpu_capacity_cores": 64, "memory_capacity_mib": 524288, **self.counters},
            "host_parts": self.devices,
            "workloads": [
                {"kind": kind, "keys": KEYS[kind], "rows": [one.row(interval_s) for one in of_kind]}
                for kind, of_kind in self.workloads.items()
                if of_kind
            ],
            "stale": [],
        }


HOST_GAUGES = ("cpu_used_cores", "cpu_used_ratio", "load_1m", "load_5m", "load_15m", "memory_used_mib", "disk_used_gib")
HOST_COUNTERS = (
    *(
        "cpu_seconds_total",
        "disk_read_bytes_total",
        "disk_written_bytes_total",
        "disk_reads_total",
        "disk_writes_total",
    ),
    *("network_received_bytes_total", "network_sent_bytes_total", "network_received_packets_total"),
    *("network_sent_packets_total", "cpu_pressure_some_seconds_total", "memory_pressure_some_seconds_total"),
    *("io_pressure_some_seconds_total", "io_pressure_full_seconds_total"),
)
HOST_DEVICES = ("device_network_received_bytes_total", "device_network_sent_bytes_total")


def samples_in(message: dict[str, Any]) -> int:
    """How many figures the message has: each is one sample of one series."""
    of_parts = sum(len(part) for part in message["host_parts"].values())
    of_rows = sum(len(table["keys"]) * len(table["rows"]) for table in message["workloads"])
    return len(message["host_sample"]) + of_parts + of_rows


def fields_of(host: SimulatedHost, message: dict[str, Any]) -> dict[Any, Any]:
    raw = json.dumps(message, separators=(",", ":")).encode()
    return {"data": raw, "signature": signature_of(host.key, raw)}


def main(arguments: list[str]) -> int:
    plan = json.loads(Path(arguments[0]).read_text())
    client = redis.Redis.from_url(plan["redis_url"])
    hosts = [SimulatedHost(*row, seed) for seed, row in enumerate(plan["hosts"])]
    interval_s, rounds = plan["interval_s"], plan["rounds"]
    sent = messages = bytes_sent = 0
    late_s = 0.0
    began, cpu_began = time.monotonic(), time.process_time()
    slices = [hosts[start : start + AT_ONCE] for start in range(0, len(hosts), AT_ONCE)]
    for number in range(rounds * len(slices)):
        due = began + number * interval_s / len(slices)
        late_s = max(late_s, time.monotonic() - due)
        time.sleep(max(0.0, due - time.monotonic()))
        pipe = client.pipeline(transaction=False)
        for host in slices[number % len(slices)]:
            message = host.message(time.time(), interval_s)
            fields = fields_of(host, message)
            pipe.xadd(SAMPLES, fields, maxlen=SAMPLES_KEPT, approximate=True)
            sent, messages = sent + samples_in(message), messages + 1
            bytes_sent += len(fields["data"])
        pipe.execute()
    print(
        json.dumps(
            {
                "samples": sent,
                "messages": messages,
                "bytes": bytes_sent,
                "seconds": time.monotonic() - began,
                "late_s": late_s,
                "cpu_s": time.process_time() - cpu_began,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
