"""Ganeti's text file (htools' text backend) read, written and scored; hbal itself run as the peer.

Sections are parted by empty lines: groups, nodes, instances, tags, policies. Source: Ganeti htools(1), hscan(1).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from datacenter.planner.leveling import Load

HBAL = shutil.which("hbal")
NODE_TOTAL_MEMORY, NODE_CORES = 1, 6
INSTANCE_MEMORY, INSTANCE_CPUS, INSTANCE_PRIMARY, INSTANCE_SECONDARY, INSTANCE_DISK = 1, 3, 6, 7, 8
NODE_FREE_MEMORY = 3


@dataclass(frozen=True)
class Cluster:
    """The file's sections, lines split at the bars."""

    groups: list[list[str]]
    nodes: list[list[str]]
    instances: list[list[str]]
    rest: list[str] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, int]:
        return {node[0]: row for row, node in enumerate(self.nodes)}


def read(path: Path) -> Cluster:
    groups, nodes, instances, *rest = path.read_text().split("\n\n")
    return Cluster(
        *([line.split("|") for line in part.strip("\n").split("\n")] for part in (groups, nodes, instances)), rest
    )


def write(cluster: Cluster, path: Path) -> None:
    parts = ("\n".join("|".join(line) for line in part) for part in (cluster.groups, cluster.nodes, cluster.instances))
    path.write_text("\n\n".join([*parts, *cluster.rest]))


def with_replicas(cluster: Cluster, seed: int) -> Cluster:
    """Every instance on DRBD, its secondary on a random other node."""
    random = np.random.default_rng(seed)
    rows, names = cluster.rows, [node[0] for node in cluster.nodes]
    instances = []
    for line in cluster.instances:
        other = int(random.integers(len(names) - 1))
        other += other >= rows[line[INSTANCE_PRIMARY]]
        instances.append([*line[:INSTANCE_SECONDARY], names[other], "drbd", *line[INSTANCE_DISK + 1 :]])
    return replace(cluster, instances=instances, rest=[part.replace("|ext|", "|drbd|") for part in cluster.rest])


def load_of(cluster: Cluster) -> Load:
    """What the score spreads: memory, vCPUs, and four loads of which each instance brings one."""
    rows = cluster.rows
    memory = np.array([float(line[INSTANCE_MEMORY]) for line in cluster.instances])
    cpus = np.array([float(line[INSTANCE_CPUS]) for line in cluster.instances])
    total = np.array([float(node[NODE_TOTAL_MEMORY]) for node in cluster.nodes])
    cores = np.array([float(node[NODE_CORES]) for node in cluster.nodes])
    home = np.array([rows[line[INSTANCE_PRIMARY]] for line in cluster.instances], dtype=np.int64)
    replicas = [rows.get(line[INSTANCE_SECONDARY], -1) for line in cluster.instances]
    has_replicas = any(row >= 0 for row in replicas)
    ratio = float(cluster.rest[-1].strip("\n").split("\n")[-1].split("|")[4])  # vCPUs a core, by policy
    one = np.ones(len(total))
    return Load(
        need=np.column_stack([memory, cpus, np.ones(len(memory))]),
        size=np.column_stack([total, cores, one]),
        limit=np.column_stack([total - 1, cores * ratio, one * np.inf]),
        weight=np.array([1.0, 1.0, 3.0 if has_replicas else 4.0]),  # a replica brings as much disk load
        home=home,
        movable=np.ones(len(memory), dtype=bool),
        group=np.zeros(len(memory), dtype=np.int64),
        allowed=np.ones((1, len(total)), dtype=bool),
        standby=np.array(replicas, dtype=np.int64) if has_replicas else None,
    )


def moved_to(cluster: Cluster, assignment: np.ndarray) -> Cluster:
    """The cluster after those moves; a replica trades places with its instance."""
    names = [node[0] for node in cluster.nodes]
    instances = []
    for line, target in zip(cluster.instances, assignment, strict=True):
        primary, secondary = line[INSTANCE_PRIMARY], line[INSTANCE_SECONDARY]
        if names[target] != primary:
            secondary = primary if secondary else ""
        instances.append([*line[:INSTANCE_PRIMARY], names[target], secondary, *line[INSTANCE_DISK:]])
    used = dict.fromkeys(names, 0)
    for line in instances:
        used[line[INSTANCE_PRIMARY]] += int(line[INSTANCE_MEMORY])
    nodes = []
    for node in cluster.nodes:
        free = str(int(node[NODE_TOTAL_MEMORY]) - used[node[0]])
        nodes.append([*node[:NODE_FREE_MEMORY], free, *node[NODE_FREE_MEMORY + 1 :]])
    return replace(cluster, nodes=nodes, instances=instances)


def steps_of(cluster: Cluster, assignment: np.ndarray) -> list[int] | None:
    """An order of the moves in which target nodes hold both all along; None when there is none one by one."""
    load = load_of(cluster)
    used = np.zeros_like(load.size)
    np.add.at(used, load.home, load.need)
    waiting, done = [int(unit) for unit in np.flatnonzero(assignment != load.home)], []
    while waiting:
        ready = [
            unit for unit in waiting if (used[assignment[unit]] + load.need[unit] <= load.limit[assignment[unit]]).all()
        ]
        if not ready:
            return None
        unit = ready[0]
        used[assignment[unit]] += load.need[unit]
        used[load.home[unit]] -= load.need[unit]
        waiting.remove(unit)
        done.append(unit)
    return done


def hbal_score(path: Path) -> float:
    """The score that hbal gives the file as it stands."""
    text = _hbal(path, "-v", "-v", "-l", "0").stdout
    found = re.search(r"Initial coefficients: overall ([\d.]+)", text) or re.search(r"Initial score: ([\d.]+)", text)
    assert found, text
    return float(found[1])


@dataclass(frozen=True)
class Hbal:
    score: float
    moves: int
    cpu_s: float
    has_finished: bool


def hbal(path: Path, cpu_s: int, *options: str) -> Hbal:
    """What hbal reaches in so many CPU seconds."""
    before = time.process_time()
    text = _hbal(path, *options, cpu_s=cpu_s).stdout
    del before
    steps = re.findall(r"^\s*(\d+)\. \S+ .*?([\d.]+) a=", text, re.MULTILINE)
    used = re.search(r"^user ([\d.]+)", text, re.MULTILINE)
    moves, score = (int(steps[-1][0]), float(steps[-1][1])) if steps else (0, float("nan"))
    return Hbal(
        score, moves, float(used[1]) if used else float(cpu_s), "Solution length" in text or "Cluster score" in text
    )


def _hbal(path: Path, *options: str, cpu_s: int = 60) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f'ulimit -t {cpu_s}; TIMEFORMAT="user %U"; {{ time stdbuf -oL "$@" ; }} 2>&1', "hbal"]
    return subprocess.run([*command, str(HBAL), "-t", str(path), *options], capture_output=True, text=True, check=False)
