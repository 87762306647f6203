"""The smallest change that would free a host: one pin, one rule, one workload less, or less headroom.

Each candidate is tried by planning again with it, from the least intrusive on; the first that frees the host
is the answer. Changes are tried alone, never in pairs: two rules at once is a decision, not a hint.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .bounds import must_stay_on
from .consolidation import best_assignment
from .cost import hosts_staying_on
from .model import DataCenter, Policy, Workload
from .packing import Packing
from .problem import problem_of
from .validation import check_input


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to alter, and what it would bring. `subject` is the workload's id or the rule's name."""

    kind: Literal["unpin", "place", "hours", "rule", "resize", "headroom", "power"]
    subject: str
    sentence: str


def smallest_change(data_center: DataCenter, policy: Policy, host_id: str, tries: int = 40) -> Change | None:
    """The least change after which a plan frees that host; None when no single one of those tried does.

    Plans up to `tries` times, so ask for one host of a small data center, or in a worker.
    """
    check_input(data_center, policy)
    for tried, (change, changed, changed_policy) in enumerate(_changes(data_center, policy, host_id)):
        if tried == tries:
            return None
        if _frees(changed, changed_policy, host_id):
            return change
    return None


def _frees(data_center: DataCenter, policy: Policy, host_id: str) -> bool:
    """Whether the best plan switches it off, or it alone could be emptied as things are."""
    problem = problem_of(data_center, policy)
    row = next(row for row, host in enumerate(problem.hosts) if host.id == host_id)
    if not problem.is_on[row] or must_stay_on(problem)[row]:
        return False
    packing = Packing(problem, problem.home, np.flatnonzero(problem.is_open))
    units = np.flatnonzero(problem.home == row)
    if packing.try_empty(row, units[np.argsort(-packing.weight[units], kind="stable")]):
        return not hosts_staying_on(problem, packing.assignment)[row]
    return not hosts_staying_on(problem, best_assignment(problem))[row]


def _changes(data_center: DataCenter, policy: Policy, host_id: str) -> Iterator[tuple[Change, DataCenter, Policy]]:
    host = next(item for item in data_center.hosts if item.id == host_id)
    here = [item for item in data_center.workloads if item.host == host_id]
    for workload in here:
        if workload.pinned:
            change = Change("unpin", workload.id, f"Unpin {workload.label}, and {host.label} can be freed.")
            yield change, _with(data_center, replace(workload, pinned=False)), policy
    for workload in here:
        for lifted, what in _lifted(workload):
            change = Change("place", workload.id, f"{what}, and {host.label} can be freed.")
            yield change, _with(data_center, lifted), policy
    if policy.start_hour is not None and (host.no_move_hours or any(item.no_move_hours for item in here)):
        sentence = f"Start when everything on {host.label} may move, and it can be freed."
        yield Change("hours", host_id, sentence), data_center, replace(policy, start_hour=None)
    rules = {rule.name for rule in data_center.rules if any(item.id in rule.workloads for item in here)}
    rules |= {group for item in here for group in item.anti_affinity}
    for name in sorted(rules):
        change = Change("rule", name, f"Give up rule {name}, and {host.label} can be freed.")
        yield change, _without_rule(data_center, name), policy
    for points in (5, 10, 20):
        for resource, field in (("memory", "memory_headroom"), ("CPU", "cpu_headroom")):
            headroom = getattr(policy, field) - points / 100
            if headroom < 0:
                continue
            sentence = f"Lower the {resource} headroom to {headroom:.0%}, and {host.label} can be freed."
            yield Change("headroom", field, sentence), data_center, replace(policy, **{field: headroom})
    for share in (0.25, 0.5):
        for workload in here:
            memory = workload.allocation.memory_mib or 0.0
            smaller = replace(
                workload,
                allocation=replace(workload.allocation, memory_mib=memory * (1 - share)),
                observed_p95=workload.observed_p95 and replace(workload.observed_p95, memory_mib=None),
            )
            sentence = f"Give {workload.label} {memory * share:,.0f} MiB less memory, and {host.label} can be freed."
            yield Change("resize", workload.id, sentence), _with(data_center, smaller), policy
    if not host.can_power_off:
        hosts = tuple(replace(h, can_power_off=True) if h.id == host_id else h for h in data_center.hosts)
        sentence = f"Give {host.label} a working power control, and it can be freed."
        yield Change("power", host_id, sentence), replace(data_center, hosts=hosts), policy


def _lifted(workload: Workload) -> Iterator[tuple[Workload, str]]:
    """The workload without each of the things that keep it to certain hosts."""
    if workload.licences:
        products = ", ".join(workload.licences)
        yield replace(workload, licences=()), f"License {products} for more hosts, for {workload.label}"
    if workload.within:
        yield replace(workload, within=()), f"Let {workload.label} leave {', '.join(workload.within)}"
    if workload.only_hosts or workload.never_hosts:
        yield replace(workload, only_hosts=(), never_hosts=()), f"Let {workload.label} run on any host"


def _with(data_center: DataCenter, changed: Workload) -> DataCenter:
    workloads = tuple(changed if item.id == changed.id else item for item in data_center.workloads)
    return replace(data_center, workloads=workloads)


def _without_rule(data_center: DataCenter, name: str) -> DataCenter:
    workloads = tuple(
        replace(item, anti_affinity=tuple(group for group in item.anti_affinity if group != name))
        for item in data_center.workloads
    )
    rules = tuple(rule for rule in data_center.rules if rule.name != name)
    return replace(data_center, workloads=workloads, rules=rules)
