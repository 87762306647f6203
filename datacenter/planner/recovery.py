"""After a failure: where everything of the lost hosts restarts, the most important first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .evacuation import rows_of
from .explanation import why_nowhere
from .failures import Restarts, restarts_in_the_end
from .model import DataCenter, JointLoss, Policy, Unmoved
from .packing import Packing
from .problem import problem_of
from .validation import check_input


@dataclass(frozen=True, slots=True)
class Recovery:
    """Hosts by workload in the order to restart them, and a sentence for each that must wait."""

    restart_on: dict[str, str]
    stays_down: tuple[Unmoved, ...]


@dataclass(frozen=True, slots=True)
class Survival:
    """Whether every loss asked about can be made good, the sentence about it, and the places where it can."""

    holds: bool
    sentence: str
    restart_on: dict[str, str]
    restart_after: tuple[JointLoss, ...]


def recover(data_center: DataCenter, policy: Policy, lost: Sequence[str]) -> Recovery:
    """Places for the workloads of those hosts (by id) on the others that are on, by priority, then size.

    What is pinned to a lost host waits for it. Nothing that runs is moved or stopped to make room.
    """
    check_input(data_center, policy)
    rows = rows_of(data_center, lost)
    problem = problem_of(data_center, policy)
    down = np.flatnonzero(np.isin(problem.home, rows))
    without = problem.home.copy()
    without[down] = -1
    packing = Packing(problem, without, np.setdiff1d(np.flatnonzero(problem.is_open), rows))
    priority = [max(problem.workloads[index].priority for index in members) for members in problem.units]
    restart_on: dict[str, str] = {}
    stays_down: list[Unmoved] = []
    for unit in sorted(down, key=lambda unit: (-priority[unit], -packing.weight[unit], unit)):
        members = [problem.workloads[index] for index in problem.units[unit]]
        pinned = next((item for item in members if item.pinned), None)
        target = -1 if pinned else packing.best_fit(int(unit))
        if target >= 0:
            packing.move(int(unit), target)
            restart_on |= {item.id: problem.hosts[target].id for item in members}
            continue
        home = problem.hosts[problem.home[unit]].label
        reason = f"{pinned.label} is pinned to {home}" if pinned else why_nowhere(problem, packing, int(unit))
        stays_down += [Unmoved(item.id, f"{item.label} stays down: {reason}.") for item in members]
    return Recovery(restart_on, tuple(stays_down))


def survives(data_center: DataCenter, policy: Policy, failures: int = 1) -> Survival:
    """Whether, as things are, everything restarts after any so many hosts (and racks, if the policy asks) are lost."""
    asked = replace(policy, survive_failures=failures)
    check_input(data_center, asked)
    problem = problem_of(data_center, asked)
    found = restarts_in_the_end(problem, problem.home, problem.is_on)
    if not isinstance(found, Restarts):
        return Survival(False, found, {}, ())
    what = "any host" if failures == 1 else f"any {failures} hosts"
    tried = " ".join(("", *found.untried))
    sentence = f"After the loss of {what}, everything can be restarted.{tried}"
    return Survival(True, sentence, found.alone, tuple(found.together))
