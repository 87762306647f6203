"""What room a data center has, kept ready: placing one more workload takes a millisecond, not a fresh plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from .compatibility import requirements, why_incompatible
from .demand import needs_of
from .model import DataCenter, Placement, Policy, Workload
from .packing import Packing
from .placement import place
from .problem import problem_of
from .validation import check_input, check_workload


class Room:
    """The free room under a policy; `take` fills it, so that several placements see each other."""

    def __init__(self, data_center: DataCenter, policy: Policy) -> None:
        check_input(data_center, policy)
        self.data_center, self.policy = data_center, policy
        self._problem = problem_of(data_center, policy)
        self._packing = Packing(self._problem, self._problem.home, np.flatnonzero(self._problem.is_open))
        self._added: list[Workload] = []
        self._apart: dict[str, set[str]] = defaultdict(set)  # anti-affinity group -> hosts it is on
        self._suits: dict[tuple[object, ...], np.ndarray] = {}
        for workload in data_center.workloads:
            for group in workload.anti_affinity:
                self._apart[group].add(workload.host)

    def place(self, workload: Workload) -> Placement:
        """The fullest host that takes the workload; without one, a sentence for each why not."""
        check_workload(workload)
        need = needs_of(workload, self.policy, self._problem.dimensions)
        packing = self._packing
        fits = self._problem.holds(packing.free >= need[:, None]) & self._suitable(workload)
        if not fits.any():
            return place(self._present(), self.policy, workload)
        best = int(packing.receivers[np.where(fits, packing.slack, np.inf).argmin()])
        host = self.data_center.hosts[best]
        return Placement(host.id, f"{workload.label} goes to {host.label}, the fullest host that takes it.")

    def take(self, workload: Workload, host_id: str) -> None:
        """Counts the workload as placed on that host from now on."""
        need = needs_of(workload, self.policy, self._problem.dimensions)
        row = next(r for r, host in enumerate(self._packing.receivers) if self._problem.hosts[host].id == host_id)
        self._packing.free[:, row] -= need
        self._packing.slack[row] -= need @ self._problem.scale
        self._added.append(replace(workload, host=host_id))
        for group in workload.anti_affinity:
            self._apart[group].add(host_id)

    def place_all(self, workloads: Iterable[Workload]) -> dict[str, Placement]:
        """A place for each of many new workloads at once, the largest first; each sees the ones before it."""
        asked = list(workloads)
        weight = {
            item.id: float(needs_of(item, self.policy, self._problem.dimensions) @ self._problem.scale)
            for item in asked
        }
        answers: dict[str, Placement] = {}
        for workload in sorted(asked, key=lambda item: (-weight[item.id], item.id)):
            answers[workload.id] = answer = self.place(workload)
            if answer.host is not None:
                self.take(workload, answer.host)
        return answers

    def _present(self) -> DataCenter:
        if not self._added:
            return self.data_center
        return replace(self.data_center, workloads=self.data_center.workloads + tuple(self._added))

    def _suitable(self, workload: Workload) -> np.ndarray:
        key = requirements(workload)
        if key not in self._suits:
            hosts = [self.data_center.hosts[row] for row in self._packing.receivers]
            self._suits[key] = np.array([why_incompatible(workload, host) is None for host in hosts], dtype=bool)
        suits = self._suits[key]
        taken = {host for group in workload.anti_affinity for host in self._apart[group]}
        if not taken:
            return suits
        names = [self.data_center.hosts[row].id for row in self._packing.receivers]
        return suits & np.array([name not in taken for name in names], dtype=bool)
