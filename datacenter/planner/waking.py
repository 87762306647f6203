"""Hosts to switch on: those without which the policy's limits cannot be held."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .assembly import assignment_of
from .consolidation import plan
from .model import DataCenter, Host, Plan, Policy
from .problem import problem_of
from .relief import overload
from .relieving import relieve


@dataclass(frozen=True, slots=True)
class Waking:
    """Hosts to switch on first (ids), and the plan once they are on."""

    hosts: tuple[str, ...]
    data_center: DataCenter  # with them on
    plan: Plan

    @property
    def ready_s(self) -> float | None:
        """Seconds until all of them can take work, as they wake side by side; None where one was never timed."""
        if not self.hosts:
            return 0.0
        times = [host.wake_s for host in self.data_center.hosts if host.id in self.hosts]
        return None if None in times else max(time for time in times if time is not None)


def wake_and_plan(data_center: DataCenter, policy: Policy) -> Waking:
    """The plan, with hosts that are off switched on one by one, largest first, while some host stays over its limits.

    Of two that are as large, the one that wakes sooner goes first; one whose waking was never timed comes last. Only
    hosts that have power control and take new work once they are on. One whose waking does not help is left off.
    """
    result = plan(data_center, policy)
    over, woken = _overload(data_center, policy, result), []
    for host in sorted(_asleep(data_center), key=_first_woken):
        if not over:
            break
        tried = _with_on(data_center, host)
        answer = plan(tried, policy)
        left = _overload(tried, policy, answer)
        if left < over:
            data_center, result, over = tried, answer, left
            woken.append(host.id)
    return Waking(tuple(woken), data_center, result)


def host_to_wake(data_center: DataCenter, policy: Policy) -> str:
    """The largest host that is off and whose waking lets more be relieved; empty when that of none would."""
    over, tried = _overload(data_center, policy, relieve(data_center, policy)), set()
    for host in sorted(_asleep(data_center), key=_first_woken):
        alike = replace(host, id="", name="", wake_s=None)
        if over and alike not in tried:
            tried.add(alike)
            awake = _with_on(data_center, host)
            if _overload(awake, policy, relieve(awake, policy)) < over:
                return host.id
    return ""


def _first_woken(host: Host) -> tuple[float, float, str, str]:
    return -(host.capacity.cpu_cores or 0.0), math.inf if host.wake_s is None else host.wake_s, host.name, host.id


def _asleep(data_center: DataCenter) -> list[Host]:
    able = [host for host in data_center.hosts if not host.is_on and host.can_power_off and host.accepts_work]
    return [host for host in able if host.capacity.cpu_cores and host.capacity.memory_mib]


def _with_on(data_center: DataCenter, woken: Host) -> DataCenter:
    return replace(
        data_center, hosts=tuple(replace(host, is_on=host.is_on or host is woken) for host in data_center.hosts)
    )


def _overload(data_center: DataCenter, policy: Policy, result: Plan) -> float:
    problem = problem_of(data_center, policy)
    over = overload(problem, assignment_of(problem, result.placement_after))
    return round(float(np.where(problem.is_on, over, 0.0).sum()), 9)
