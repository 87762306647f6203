"""Emptying hosts, for maintenance: their work is spread over the others, never dumped on one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hosts.errors import NotFound

from .assembly import assemble
from .explanation import why_nowhere
from .model import DataCenter, Plan, Policy
from .packing import Packing
from .problem import problem_of
from .validation import check_input


def evacuate(data_center: DataCenter, policy: Policy, host_id: str) -> Plan:
    """Moves for everything on that host; `refusals` names each workload that cannot leave, and why.

    The host may also be a VM that carries containers, where it stands among the hosts.
    """
    return evacuate_hosts(data_center, policy, (host_id,))


def evacuate_rack(data_center: DataCenter, policy: Policy, site: str, rack: str) -> Plan:
    """The same for all hosts of a rack at once: nothing moves from one of them to another."""
    hosts = [host.id for host in data_center.hosts if (host.site, host.rack) == (site, rack)]
    if not hosts:
        raise NotFound(f"There is no host in rack {rack} of site {site}.")
    return evacuate_hosts(data_center, policy, hosts)


def evacuate_hosts(data_center: DataCenter, policy: Policy, host_ids: Sequence[str]) -> Plan:
    """The same for several hosts at once. Raises NotFound for one that is not in the inventory."""
    check_input(data_center, policy)
    rows = rows_of(data_center, host_ids)
    problem = problem_of(data_center, policy)
    packing = Packing(problem, problem.home, np.setdiff1d(np.flatnonzero(problem.is_open), rows))
    units = sorted(np.flatnonzero(np.isin(problem.home, rows)), key=lambda unit: (-packing.weight[unit], unit))
    refusals = []
    for unit in units:
        reason = problem.why_fixed(int(unit))
        target = -1 if reason else packing.worst_fit(int(unit))
        if target >= 0:
            packing.move(int(unit), target)
        else:
            refusals.append(reason or why_nowhere(problem, packing, int(unit)))
    sentences = tuple(f"{sentence.rstrip('.')}." for sentence in refusals)
    return assemble(problem, packing.assignment, "evacuate", sentences)


def rows_of(data_center: DataCenter, host_ids: Sequence[str]) -> list[int]:
    """Their places in the inventory. Raises NotFound for one that is not in it."""
    index = {host.id: number for number, host in enumerate(data_center.hosts)}
    for host_id in host_ids:
        if host_id not in index:
            raise NotFound(f"There is no host {host_id}.")
    return [index[host_id] for host_id in host_ids]
