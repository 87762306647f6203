"""Where one new workload goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hosts.errors import Invalid

from .explanation import why_not_on
from .model import DataCenter, Placement, Policy, Workload
from .packing import Packing
from .problem import problem_of
from .validation import check_input


def place(data_center: DataCenter, policy: Policy, workload: Workload) -> Placement:
    """The fullest host that still takes the workload within the policy and the rules.

    Without one, `why_not` holds a sentence for every host. The workload must not be in the inventory yet.
    """
    if any(other.id == workload.id for other in data_center.workloads):
        raise Invalid(f"Workload {workload.label} is in the inventory already.")
    asked = data_center.with_workload(replace(workload, host=""))
    check_input(asked, policy)
    problem = problem_of(asked, policy)
    unit = int(problem.unit_of[-1])
    packing = Packing(problem, problem.home, np.flatnonzero(problem.is_open))
    host = packing.best_fit(unit)
    if host >= 0:
        target = problem.hosts[host]
        return Placement(target.id, f"{workload.label} goes to {target.label}, the fullest host that takes it.")
    why_not = {target.id: f"{why_not_on(problem, packing, unit, index)}." for index, target in enumerate(problem.hosts)}
    return Placement(None, f"No host can take {workload.label} now.", why_not)
