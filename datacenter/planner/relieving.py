"""Relief: hosts over their limits, and rules that are broken, put right by the cheapest moves; nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .assembly import assemble, assignment_of
from .evacuation import rows_of
from .mending import mended
from .model import DataCenter, Plan, Policy
from .problem import problem_of
from .relief import overload, relieved
from .validation import check_input


def relieve(data_center: DataCenter, policy: Policy, host_id: str = "") -> Plan:
    """Moves that bring that host, or without one all hosts and rules, within the policy; nothing is switched off.

    `refusals` names each host that stays over its limits. Raises NotFound for an unknown host.
    """
    check_input(data_center, policy)
    problem = problem_of(data_center, policy)
    everywhere = problem.is_on
    wanted = np.isin(np.arange(len(problem.hosts)), rows_of(data_center, [host_id])) if host_id else everywhere
    goal = relieved(problem, problem.home if host_id else mended(problem, problem.home, everywhere), everywhere, wanted)
    result = replace(assemble(problem, goal, "evacuate"), goal="relieve")
    left = overload(problem, assignment_of(problem, result.placement_after))
    over = tuple(
        f"{problem.hosts[host].label} stays over its limits by {left[host]:.0%}: nothing more can leave it."
        for host in np.flatnonzero((left > 0) & wanted & problem.is_on)
    )
    return replace(result, refusals=result.refusals + over)
