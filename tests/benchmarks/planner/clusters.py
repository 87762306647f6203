"""The synthetic clusters of shared/data/gen_cluster.py as planner input.

Its rules: 2 vCPUs per core, memory 1:1, measured p95 of CPU within 80 %.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from datacenter.planner.model import DataCenter, Host, Policy, Resources, Workload

DATA = Path(os.environ.get("STOWAGE_PLANNER_DATA", "/work/shared/data"))
POLICY = Policy("gen_cluster", cpu_overcommit=2.0, cpu_counting="separate", cpu_headroom=0.2, memory_headroom=0.0)


def cluster(hosts: int, vms: int, seed: int) -> DataCenter:
    """A generated cluster; idle 40 % of peak watts, larger hosts draw more."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/c"
        script = str(DATA / "gen_cluster.py")
        subprocess.run(
            [sys.executable, script, str(hosts), str(vms), str(seed), prefix], check=True, capture_output=True
        )
        with open(f"{prefix}.hosts.csv") as file:
            machines = tuple(
                Host(
                    row["host"],
                    Resources(float(row["cores"]), float(row["ram_mib"])),
                    idle_watts=2.0 * float(row["cores"]),
                    peak_watts=5.0 * float(row["cores"]),
                )
                for row in csv.DictReader(file)
            )
        with open(f"{prefix}.vms.csv") as file:
            guests = tuple(
                Workload(
                    row["vm"],
                    "vm",
                    Resources(float(row["vcpu"]), float(row["ram_mib"])),
                    row["host"],
                    observed_p95=Resources(cpu_cores=float(row["cpu_p95_centicores"]) / 100),
                )
                for row in csv.DictReader(file)
            )
    return DataCenter(machines, guests)
