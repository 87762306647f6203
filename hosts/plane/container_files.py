"""What the containers of this machine use, from the kernel's own files: one pass, no question to the engine.

So a frozen or restarting engine hides nothing, and fifty containers cost milliseconds. Where a container's group is
comes from its first process, once; a group whose name is not the container's is somebody else's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hosts.drivers.base import ObservedWorkload, WorkloadCounters
from hosts.plane import cgroup, kernel_counters
from hosts.units import MIB

_READ_MOST = 64 * 1024


@dataclass
class _Place:
    """Where a container's files are; `net_namespace` tells whether `pid` is still one of its processes."""

    files: cgroup.GroupFiles
    pid: int
    net_namespace: int


class ContainerFiles:
    """Counters of running containers. Not for several threads at once.

    Args:
        proc: where the processes are, as the engine counts them.
        mountinfo: the text of /proc/self/mountinfo; read when not given.
    """

    def __init__(self, proc: str | Path = "/proc", mountinfo: str | None = None) -> None:
        self._proc = str(proc)
        self._trees = cgroup.trees_find(Path("/proc/self/mountinfo").read_text() if mountinfo is None else mountinfo)
        self._places: dict[str, _Place] = {}
        self._own_network = _net_namespace(f"{self._proc}/self")

    def counters(self, workloads: Iterable[ObservedWorkload]) -> tuple[list[WorkloadCounters], set[str]]:
        """Counters of the running containers among the workloads, and engine ids of those whose files are not here.

        A container that has ended since it was observed is in neither.
        """
        found: list[WorkloadCounters] = []
        unplaced: set[str] = set()
        seen: set[str] = set()
        for workload in workloads:
            if workload.kind != "container" or not workload.engine_id or workload.state not in ("running", "paused"):
                continue
            seen.add(workload.engine_id)
            place = self._place(workload)
            if place is None:
                unplaced.add(workload.engine_id)
                continue
            try:
                found.append(self._read(workload, place))
            except OSError:
                del self._places[workload.engine_id]  # it has ended, or is starting anew
        self._places = {engine_id: place for engine_id, place in self._places.items() if engine_id in seen}
        return found, unplaced

    def _place(self, workload: ObservedWorkload) -> _Place | None:
        engine_id = workload.engine_id or ""
        if engine_id not in self._places and self._trees is not None and workload.pid:
            try:
                paths = cgroup.paths_parse(_text(f"{self._proc}/{workload.pid}/cgroup"))
            except OSError:
                return None
            own = {controller: path for controller, path in paths.items() if engine_id in path}
            files = cgroup.group_files(self._trees, own)
            if files.cpu and files.memory_usage:
                network = _net_namespace(f"{self._proc}/{workload.pid}")
                self._places[engine_id] = _Place(files, workload.pid, network)
        return self._places.get(engine_id)

    def _read(self, workload: ObservedWorkload, place: _Place) -> WorkloadCounters:
        files = place.files
        cpu = _text(files.cpu)
        throttled = cpu if files.version == 2 else _text_if(files.throttled)
        memory = cgroup.memory_used_bytes(_text(files.memory_usage), _text_if(files.memory_stat))
        sizes, processes = _text_if(files.disk_bytes), _text_if(files.processes).strip()
        disks = cgroup.disks_sum(
            cgroup.disks_v2(sizes) if files.version == 2 else cgroup.disks_v1(sizes, _text_if(files.disk_operations))
        )
        return WorkloadCounters(
            "container",
            workload.uuid,
            workload.name,
            cgroup.cpu_seconds(files.version, cpu),
            memory / MIB,
            cpu_allotted_cores=workload.vcpus or None,
            memory_allotted_mib=workload.memory_mib or None,
            cpu_throttled_seconds_total=cgroup.throttled_seconds(files.version, throttled),
            processes=int(processes) if processes.isdigit() else None,
            disk_read_bytes_total=disks.read_bytes,
            disk_written_bytes_total=disks.written_bytes,
            disk_reads_total=disks.reads,
            disk_writes_total=disks.writes,
            **self._network(place),
        )

    def _network(self, place: _Place) -> dict[str, int]:
        """Counters of the container's own network; empty for one that uses its host's."""
        if _net_namespace(f"{self._proc}/{place.pid}") != place.net_namespace or not place.net_namespace:
            # The process has ended, and its number may be another's by now.
            members = _text_if(place.files.members).split()
            place.pid = int(members[0]) if members and members[0].isdigit() else 0
            place.net_namespace = _net_namespace(f"{self._proc}/{place.pid}")
        if place.net_namespace in (0, self._own_network):
            return {}
        return kernel_counters.cards_sum(kernel_counters.cards_parse(_text_if(f"{self._proc}/{place.pid}/net/dev")))


def _net_namespace(folder: str) -> int:
    """The number of a process's network namespace; 0 when there is no such process."""
    try:
        return os.stat(f"{folder}/ns/net").st_ino
    except OSError:
        return 0


def _text(path: str) -> str:
    # not Path.read_text: this runs for some ten files of every container, each second while somebody watches
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(opened, _READ_MOST).decode(errors="replace")
    finally:
        os.close(opened)


def _text_if(path: str) -> str:
    if not path:
        return ""
    try:
        return _text(path)
    except OSError:
        return ""
