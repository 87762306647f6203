"""Line 3: vector bin packing instances with known optima (shared/data/vbp)."""

from __future__ import annotations

import csv
import tarfile
import time
from collections import defaultdict

import numpy as np

from datacenter.planner.vector_packing import pack

from .clusters import DATA
from .measure import measured

SECONDS = 3.0  # by instance; the issue allows 10


def run(large: bool = False) -> bool:
    """Prints a line per family and class; True when the sum over all is within 1.01 of the optima.

    One instance of each class, size and dimension is tried, or with `large` all ten; where no optimum is known,
    none.
    """
    folder = DATA / "vbp"
    known: dict[tuple[str, str], dict[str, str]] = {}
    for family in ("New", "Panigrahy", "Triplet"):
        rows = csv.DictReader((folder / f"{family}_known.tsv").read_text().splitlines(), delimiter="\t")
        known |= {(family, row["instance_name"]): row for row in rows}
    ours: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    pack(np.full((3, 3), 0.5), np.ones(3))  # compiles, or loads what was compiled
    cost = 0.0
    with tarfile.open(folder / "instances.tar.xz") as archive:
        for member in archive:
            name = member.name.split("/")[-1].removesuffix(".vbp")
            family = member.name.lstrip("./").split("_")[0]
            file = archive.extractfile(member) if member.isfile() else None
            row = known.get((family, name))
            if file is None or row is None or int(row["OPT"]) < 0 or not (large or name.endswith("_0")):
                continue
            needs, capacity = read(file.read().decode())
            deadline = time.perf_counter() + SECONDS
            result = measured(
                lambda n=needs, c=capacity, end=deadline: pack(n, c, lambda: time.perf_counter() > end, 10**6)
            )
            cost += result.cpu_s
            assert all(
                (needs[result.answer == bin_].sum(axis=0) <= capacity + 1e-6).all() for bin_ in set(result.answer)
            )
            line = ours[f"{family} {name.split('_')[0]}"]
            line[0] += int(result.answer.max()) + 1
            line[1] += int(row["OPT"])
            line[2] += int(row["best_overall"])
            line[3] += 1
    total = np.sum(list(ours.values()), axis=0)
    for name, (bins, best, peer, count) in sorted(ours.items()):
        print(
            f"packing {name}: {bins} bins, optimum {best}, best heuristic {peer}: {bins / best:.4f} "
            f"({peer / best:.4f}), {count} instances"
        )
    print(
        f"packing all: {total[0]} bins, {total[0] / total[1]:.4f} x optima "
        f"(heuristics {total[2] / total[1]:.4f}), {cost:.0f} CPU s"
    )
    return bool(total[0] <= 1.01 * total[1])


def read(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Sizes of the items and of a bin from a .vbp file."""
    numbers = [float(word) for word in text.split()]
    width = int(numbers[0])
    capacity = np.array(numbers[1 : 1 + width])
    count = int(numbers[1 + width])
    rows = np.array(numbers[2 + width :]).reshape(count, width + 1)
    return np.repeat(rows[:, :width], rows[:, width].astype(int), axis=0), capacity
