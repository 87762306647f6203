"""Line 6: even load on Ganeti's text files, scored by hbal, against hbal."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from datacenter.planner.leveling import level

from . import ganeti
from .clusters import DATA
from .measure import measured
from .report import row

HBAL_CPU_S = 60  # hbal gets no more; the data's README measured 14 and over 300 CPU seconds
# hosts, VMs, seeds, with replicas (DRBD, roles may swap, disks stay), moves allowed, CPU seconds allowed
CASES = ((100, 1_000, (1, 2, 3), True, 130, 2), (500, 5_000, (2,), True, 700, 30), (500, 5_000, (2,), False, 700, 30))


def run(large: bool = False) -> bool:
    """A row for each file; True when each is less uneven than hbal leaves it, with fewer moves, in time."""
    if not ganeti.HBAL:
        print("balance: hbal is not installed (apt-get install ganeti-htools): nothing scores the result")
        return False
    with tempfile.TemporaryDirectory() as folder:
        return all([_case(Path(folder), seed, *case) for case in CASES for seed in case[2]])


def _case(
    folder: Path,
    seed: int,
    hosts: int,
    vms: int,
    _seeds: tuple[int, ...],
    replicas: bool,
    most_moves: int,
    limit_s: int,
) -> bool:
    script = str(DATA / "gen_cluster.py")
    subprocess.run(
        [sys.executable, script, str(hosts), str(vms), str(seed), f"{folder}/c"], check=True, capture_output=True
    )
    before, after = folder / "c.ganeti", folder / "after.ganeti"
    cluster = ganeti.read(before)
    if replicas:
        cluster = ganeti.with_replicas(cluster, seed)
        ganeti.write(cluster, before)
    level(ganeti.load_of(cluster), 1, steps=1)  # compiles, or loads what was compiled
    result = measured(lambda: level(ganeti.load_of(cluster), most_moves))
    ganeti.write(ganeti.moved_to(cluster, result.answer), after)
    moves, steps = int((result.answer != ganeti.load_of(cluster).home).sum()), ganeti.steps_of(cluster, result.answer)
    start, score = ganeti.hbal_score(before), ganeti.hbal_score(after)
    peer = ganeti.hbal(before, HBAL_CPU_S, *(["--no-disk-moves"] if replicas else []))
    return row(
        "balance",
        f"{hosts} x {vms} seed {seed} {'drbd' if replicas else 'ext'}",
        f"from {start:.2f}",
        f"{score:.2f}, {moves} moves",
        f"hbal {peer.score:.2f}, {peer.moves} in {peer.cpu_s:.0f} s{'' if peer.has_finished else ', unfinished'}",
        f"{score / peer.score:.3f}",
        result,
        0 if steps is not None else 1,
        not score > peer.score and result.cpu_s <= limit_s and (not peer.has_finished or moves <= peer.moves),
    )
