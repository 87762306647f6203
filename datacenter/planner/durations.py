"""How long a move takes, how long its workload stands still, and when each move of an order starts."""

from __future__ import annotations

from collections import defaultdict
from heapq import heapreplace

from .model import Policy, Workload

DOWNTIME_S = 0.3  # what a hypervisor lets the last round take; source: libvirt's default of 300 ms
SLOWED_TO = 0.8  # a guest that writes faster than it is copied is slowed until its rate is this share of the link's
CONTAINER_START_S = 2.0


def move_seconds(workload: Workload, policy: Policy) -> tuple[float, float]:
    """Seconds that the move takes and seconds of them in which the workload stands still.

    A VM's memory is copied in rounds, each as long as the last one's writes take; a container is stopped, its data
    copied, and started again. Source of the rounds: Clark et al., "Live migration of virtual machines", NSDI 2005.
    """
    copying = workload.copy_gib * 1024.0 / policy.migration_mib_s
    if workload.kind == "container":
        return copying + CONTAINER_START_S, copying + CONTAINER_START_S
    share = min(workload.dirty_mib_s / policy.migration_mib_s, SLOWED_TO)
    seconds, left = copying, workload.allocation.memory_mib or 0.0
    while left / policy.migration_mib_s > DOWNTIME_S and share:
        seconds += left / policy.migration_mib_s
        left *= share
    if not share:
        seconds, left = seconds + left / policy.migration_mib_s, 0.0
    return seconds + left / policy.migration_mib_s, left / policy.migration_mib_s


class Timetable:
    """Start times under the limits of moves in and out per host; moves are entered in their order."""

    def __init__(self, policy: Policy) -> None:
        self.ends: dict[str, float] = {}
        self._into: dict[int, list[float]] = defaultdict(lambda: [0.0] * policy.moves_in_per_host)
        self._out: dict[int, list[float]] = defaultdict(lambda: [0.0] * policy.moves_out_per_host)

    def enter(self, move_id: str, source: int, target: int, after: tuple[str, ...], seconds: float) -> float:
        """When the move starts: after those it waits for, and once both hosts have a lane free."""
        lanes = (self._into[target], self._out[source])
        start = max([self.ends[name] for name in after] + [lane[0] for lane in lanes])
        for lane in lanes:
            heapreplace(lane, start + seconds)
        self.ends[move_id] = start + seconds
        return start
