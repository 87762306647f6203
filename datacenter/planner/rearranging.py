"""A placement that somebody names, reached by a safe order of moves: what undoing a plan asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from .assembly import assemble, assignment_of
from .model import DataCenter, Plan, Policy
from .problem import problem_of
from .validation import check_input


def rearrange(
    data_center: DataCenter, policy: Policy, wanted: Mapping[str, str], power_off: Collection[str] = ()
) -> Plan:
    """Moves that bring each workload of `wanted` (id -> host id) to its host; nothing else moves.

    Hosts in `power_off` (ids) are switched off at the end where they are empty then.

    `refusals` names each that cannot go there: fixed where it is, its host closed, no room under the policy, or no safe
    order of moves. Workloads and hosts that are not in the data center are left out by the caller.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    placement = {workload.id: workload.host for workload in problem.workloads}
    goal = assignment_of(problem, placement | {name: host for name, host in wanted.items() if name in placement})
    refusals = []
    for unit in np.flatnonzero((goal != problem.home) & (problem.home >= 0)):
        label, host = problem.unit_label(int(unit)), problem.hosts[goal[unit]]
        reason = problem.why_fixed(int(unit))
        if reason is None and not problem.is_open[goal[unit]]:
            reason = f"{label} cannot go back to {host.label}: {host.accepts_reason or 'it takes no work'}"
        if reason is not None:
            refusals.append(f"{reason.rstrip('.')}.")
            goal[unit] = problem.home[unit]
    for host_row in np.flatnonzero(~problem.holds(problem.free_under(goal).T >= 0)):
        for unit in np.flatnonzero((goal == host_row) & (problem.home != host_row)):
            goal[unit] = problem.home[unit]
            refusals.append(
                f"{problem.unit_label(int(unit))} cannot go back to {problem.hosts[host_row].label}: "
                "the policy has no room for it there now."
            )
    dark = np.array([host.id in power_off for host in problem.hosts], dtype=bool)
    for host in (host for host in problem.hosts if host.id in power_off and not host.can_power_off):
        refusals.append(f"{host.label} stays on: {host.power_off_reason or 'it cannot be switched off from here'}")
    return replace(assemble(problem, goal, "evacuate", tuple(refusals), dark), goal="rearrange")
