"""Emptying one host, for maintenance: its work is spread over the others, never dumped on one."""

from __future__ import annotations

import numpy as np

from hosts.errors import NotFound

from .assembly import assemble
from .explanation import why_not_on
from .model import DataCenter, Plan, Policy
from .packing import Packing
from .problem import Problem, problem_of
from .validation import check_input


def evacuate(data_center: DataCenter, policy: Policy, host_id: str) -> Plan:
    """Moves for everything on that host; `refusals` names each workload that cannot leave, and why."""
    check_input(data_center, policy)
    index = {host.id: number for number, host in enumerate(data_center.hosts)}
    if host_id not in index:
        raise NotFound(f"There is no host {host_id}.")
    problem = problem_of(data_center, policy)
    host = index[host_id]
    packing = Packing(problem, problem.home, np.flatnonzero(problem.is_open & (np.arange(len(index)) != host)))
    units = sorted(np.flatnonzero(problem.home == host), key=lambda unit: (-packing.weight[unit], unit))
    refusals = []
    for unit in units:
        reason = problem.why_fixed(int(unit))
        target = -1 if reason else packing.worst_fit(int(unit))
        if target >= 0:
            packing.move(int(unit), target)
        else:
            refusals.append(reason or _no_target(problem, packing, int(unit)))
    sentences = tuple(f"{sentence.rstrip('.')}." for sentence in refusals)
    return assemble(problem, packing.assignment, "evacuate", sentences)


def _no_target(problem: Problem, packing: Packing, unit: int) -> str:
    label = problem.unit_label(unit)
    reasons = [why_not_on(problem, packing, unit, int(host)) for host in packing.receivers]
    if not reasons:
        return f"{label} has nowhere to go: no other host is on and takes new work"
    return f"{label} has nowhere to go: " + "; ".join(dict.fromkeys(reason for reason in reasons if reason))
