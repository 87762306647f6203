"""What if: hosts or workloads are added, removed or given another size. The plan then, beside the plan now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from hosts.errors import NotFound

from .comparison import Difference, compare
from .consolidation import plan
from .model import DataCenter, Host, Plan, Policy, Resources, Unmoved, Workload
from .recovery import recover
from .room import Room
from .validation import check_input


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be thought of as changed; ids name what is there now."""

    add_hosts: tuple[Host, ...] = ()
    remove_hosts: tuple[str, ...] = ()
    resize_hosts: Mapping[str, Resources] = field(default_factory=dict)
    add_workloads: tuple[Workload, ...] = ()
    remove_workloads: tuple[str, ...] = ()
    resize_workloads: Mapping[str, Resources] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Both plans, what differs, and a sentence for each workload that would have no place."""

    data_center: DataCenter  # as changed, before the plan
    now: Plan
    then: Plan
    difference: Difference
    unplaced: tuple[Unmoved, ...]
    sentence: str


def what_if(data_center: DataCenter, policy: Policy, changes: Changes) -> WhatIf:
    """Plans twice. Raises NotFound for ids that are not there, Invalid where the changed inventory makes no sense."""
    now = plan(data_center, policy)
    changed, unplaced = changed_by(data_center, policy, changes)
    then = plan(changed, policy)
    sentence = (
        f"Then {then.hosts_on_after} hosts would stay on instead of {now.hosts_on_after}, at "
        f"{then.watts_after:,.0f} W instead of {now.watts_after:,.0f} W"
    )
    if unplaced:
        sentence += f", and {len(unplaced)} workloads would have no place"
    return WhatIf(changed, now, then, compare(now, then), unplaced, f"{sentence}.")


def changed_by(data_center: DataCenter, policy: Policy, changes: Changes) -> tuple[DataCenter, tuple[Unmoved, ...]]:
    """The data center as changed: what loses its host is restarted elsewhere, what is new is placed where it fits."""
    _known(changes.resize_hosts, {host.id for host in data_center.hosts}, "host")
    _known(
        (*changes.remove_workloads, *changes.resize_workloads), {item.id for item in data_center.workloads}, "workload"
    )
    left = tuple(
        replace(item, allocation=changes.resize_workloads.get(item.id, item.allocation))
        for item in data_center.workloads
        if item.id not in changes.remove_workloads
    )
    hosts = tuple(
        replace(host, capacity=changes.resize_hosts.get(host.id, host.capacity)) for host in data_center.hosts
    )
    gone = set(changes.remove_workloads)
    rules = tuple(
        replace(rule, workloads=tuple(name for name in rule.workloads if name not in gone))
        for rule in data_center.rules
    )
    resized = replace(data_center, hosts=hosts + changes.add_hosts, workloads=left, rules=rules)
    recovery = recover(resized, policy, changes.remove_hosts)
    placed = tuple(
        replace(item, host=recovery.restart_on.get(item.id, item.host))
        for item in left
        if item.id in recovery.restart_on or item.host not in changes.remove_hosts
    )
    kept = {item.id for item in placed}
    smaller = replace(
        resized,
        hosts=tuple(host for host in resized.hosts if host.id not in changes.remove_hosts),
        workloads=placed,
        rules=tuple(replace(rule, workloads=tuple(n for n in rule.workloads if n in kept)) for rule in rules),
    )
    check_input(smaller, policy)
    answers = Room(smaller, policy).place_all(changes.add_workloads) if changes.add_workloads else {}
    added = tuple(replace(item, host=answers[item.id].host or "") for item in changes.add_workloads)
    nowhere = tuple(Unmoved(item.id, answers[item.id].sentence) for item in added if not item.host)
    with_new = replace(smaller, workloads=placed + tuple(item for item in added if item.host))
    return with_new, recovery.stays_down + nowhere


def _known(names: Iterable[str], known: set[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise NotFound(f"There is no {what} {name}.")
