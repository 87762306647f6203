"""Line 4: Google's ROADEF/EURO 2012 machine reassignment, against the best known costs and the solver S41."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable

import numpy as np

from datacenter.planner.reassignment import reassign

from . import roadef
from .clusters import DATA
from .measure import measured
from .report import row

THREADS = 2
CPU_S = float(os.environ.get("REASSIGNMENT_CPU_S", "60"))  # by instance; --large: 300 s on both cores
SAMPLE = ("a1_4", "a2_3", "b_01", "b_02")
GOALS = {"a1": 1.01, "a2": 1.03, "b": 1.005}
S41 = {  # at 176 s on this kind of machine, measured (data/README.md)
    "a2_3": 1_225_656_094, "a2_5": 330_250_453, "b_01": 3_363_605_608, "b_02": 1_015_739_618, "b_05": 930_387_456,
    "b_09": 15_885_670_769,
}  # fmt: skip


def run(large: bool = False) -> bool:
    """A row for each instance: some with 60 CPU seconds on one core, or with `large` all with 600 on two."""
    with open(DATA / "roadef2012" / "best_known.csv") as file:
        known = {line["instance"].replace("b_", "b_0"): line for line in csv.DictReader(file)}
    reassign(roadef.model_of(roadef.read("a1_1")), _budget(0.2), threads=1)  # compiles, or loads what was compiled
    cpu_s = 300.0 * THREADS if large else CPU_S
    threads = THREADS if large else 1
    return all([_case(name, known[name], cpu_s, threads) for name in (sorted(known) if large else SAMPLE)])


def _case(name: str, known: dict[str, str], cpu_s: float, threads: int) -> bool:
    instance = roadef.read(name)
    model = roadef.model_of(instance)
    result = measured(lambda: reassign(model, _budget(cpu_s), threads=threads))
    ours, best = roadef.cost(instance, result.answer), int(known["best_public"])
    peer = f"S41 {S41[name]:,}" if name in S41 else f"S41 {int(known['s41_300s_published']):,} (published)"
    assert roadef.violations(instance, instance.start) == 0
    return row(
        "reassignment",
        f"{name}, {len(instance.capacity)} x {len(instance.service)}, {cpu_s:.0f} CPU s",
        f"{int(known['lower_bound']):,}",
        f"{ours:,}",
        peer,
        f"{ours / best:.4f} of best",
        result,
        roadef.violations(instance, result.answer) + int(np.any(result.answer < 0)),
        ours <= best * GOALS[name.split("_")[0]],
    )


def _budget(cpu_s: float) -> Callable[[], float]:
    """The share of so many CPU seconds of this process (all threads) that is spent, from now on."""
    start = time.process_time()
    return lambda: (time.process_time() - start) / cpu_s
