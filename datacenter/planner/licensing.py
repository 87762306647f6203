"""Fewer licensed cores: workloads of a product gather on few of the hosts that its licence covers."""

from __future__ import annotations

import numpy as np

from .budget import within_budget
from .packing import Packing
from .problem import Flags, Ints, Problem


def gathered_by_licence(problem: Problem, assignment: Ints) -> Ints:
    """The assignment with each product's workloads moved to few hosts, those with fewest of them emptied first."""
    packing = Packing(problem, assignment, np.flatnonzero(problem.is_open))
    for product in sorted(licence.product for licence in problem.policy.licences):
        users = _users(problem, product)
        hosts = np.unique(packing.assignment[users][packing.assignment[users] >= 0])
        cores = np.array([problem.hosts[host].capacity.cpu_cores or 0.0 for host in hosts])
        count = np.array([(packing.assignment[users] == host).sum() for host in hosts])
        left = set(hosts.tolist())
        for host in hosts[np.lexsort((hosts, -cores, count))].tolist():
            if _leave(problem, packing, users[packing.assignment[users] == host], left - {host}):
                left.discard(host)
    return packing.assignment


def _users(problem: Problem, product: str) -> Ints:
    uses = np.array([product in workload.licences for workload in problem.workloads], dtype=bool)
    return np.unique(problem.unit_of[uses])


def _leave(problem: Problem, packing: Packing, units: Ints, targets: set[int]) -> bool:
    """Moves all these units to hosts in `targets`, or none."""
    if problem.fixed[units].any() or not within_budget(problem, packing.assignment, units):
        return False
    among: Flags = np.isin(packing.receivers, list(targets))
    before = packing.assignment[units].copy()
    for done, unit in enumerate(units):
        target = packing.best_fit(int(unit), among)
        if target < 0:
            for moved in range(done):
                packing.move(int(units[moved]), int(before[moved]))
            return False
        packing.move(int(unit), target)
    return True
