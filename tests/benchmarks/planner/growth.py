"""Line 9: how time and memory grow with the data center: a row for each size, the exponent, and a plot (PNG)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from datacenter.planner import plan, verify_plan

from .clusters import POLICY, cluster
from .measure import Measured, measured
from .plot import Series, png, svg
from .report import row

SIZES = tuple(int(size) for size in os.environ.get("GROWTH_HOSTS", "100 300 1000 3000 5000").split())
GOAL = 1.3
FOLDER = Path(os.environ.get("BENCH_PLOTS", ".stowage/bench"))  # never a tracked file


def run(large: bool = False) -> bool:
    """A row for each number of hosts and one for the exponent of CPU time over hosts; writes growth.png."""
    results = [_alone(hosts) for hosts in SIZES]
    good = all([row(*line[:6], Measured(None, *line[6]), line[7]) for line in results])
    costs = [Measured(None, *line[6]) for line in results]
    seconds, memory = [cost.cpu_s for cost in costs], [cost.peak_mib for cost in costs]
    over_all, late = exponent(SIZES, seconds), exponent(SIZES[-3:], seconds[-3:])
    title = f"plan(): CPU time grows with hosts^{over_all:.2f} (from {SIZES[-3]:,} hosts on: ^{late:.2f})"
    path = png(
        svg(title, "hosts", SIZES, (Series("CPU s", seconds), Series("peak MiB", memory))), FOLDER / "growth.png"
    )
    total = Measured(None, sum(seconds), sum(cost.wall_s for cost in costs), max(memory))
    ours = f"{over_all:.2f}, late {late:.2f}"
    return row("growth", f"exponent, {path}", f"goal {GOAL}", ours, "-", "-", total, 0, over_all <= GOAL) and good


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    """The slope of log(seconds) over log(sizes)."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _alone(hosts: int) -> list:
    """The row of one size, measured in a process of its own: its peak memory is its own."""
    command = [sys.executable, "-m", __name__, str(hosts)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(next(line for line in text.splitlines() if line.startswith("[")))  # the solver prints its name


def _measure(hosts: int) -> None:
    plan(cluster(20, 100, 1), POLICY)  # compiles, or loads what was compiled
    data_center = cluster(hosts, hosts * 10, 1)
    result = measured(lambda: plan(data_center, POLICY))
    answer, found = result.answer, verify_plan(data_center, POLICY, result.answer)
    case, bound = f"{hosts:,} x {hosts * 10:,} seed 1", answer.lower_bound.hosts
    cost = {name: value for name, value in asdict(result).items() if name != "answer"}
    ratio = f"{answer.hosts_on_after / bound:.4f}"
    print(
        json.dumps(["growth", case, bound, f"{answer.hosts_on_after} hosts", "-", ratio, [*cost.values()], len(found)])
    )


if __name__ == "__main__":
    _measure(int(sys.argv[1]))
