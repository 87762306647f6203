"""The judge of two plans in a row: VMs emptied of their containers and shut down, then hosts freed.

What each plan has to be judged against is made here anew, from the plain inputs.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from .model import DataCenter, Policy, Unpacking, Workload
from .verify import Violation, verify_plan


def verify_unpacking(data_center: DataCenter, policy: Policy, answer: Unpacking) -> list[Violation]:
    """Everything wrong with either plan, or with what lies between them; empty when both may be carried out."""
    carriers = {host.id: host for host in data_center.hosts if host.inside}
    shut = set(answer.emptying.hosts_to_power_off)
    found = [
        Violation("", "power", f"{name} is no VM that may be shut down.")
        for name in sorted(shut)
        if name not in carriers or not carriers[name].can_power_off
    ]
    calm = replace(policy, objective="hosts", spare_hosts=0, survive_failures=0, survive_rack=False)
    found += verify_plan(_before(data_center, shut), calm, answer.emptying)
    places = dict(answer.emptying.placement_before)
    for move in answer.emptying.moves:
        places[move.workload] = move.target
    found += [
        Violation("", "power", f"{name} is to be shut down with containers in it.")
        for name in sorted(shut & set(places.values()))
    ]
    after = _after(data_center, places, set(carriers), shut)
    if _sorted(after) != _sorted(answer.data_center):
        found.append(Violation("", "between", "The second plan starts from another state than the first one ends in."))
    seconds = answer.emptying.seconds + answer.consolidation.seconds
    if policy.max_minutes is not None and seconds > policy.max_minutes * 60 + 0.01:
        found.append(Violation("", "budget", "Both plans together take longer than the policy allows."))
    return found + verify_plan(after, _rest(policy, data_center, answer), answer.consolidation)


def _before(data_center: DataCenter, shut: set[str]) -> DataCenter:
    """No VM moves, and no machine is switched off, while VMs are emptied."""
    hosts = tuple(replace(host, can_power_off=host.id in shut) for host in data_center.hosts)
    workloads = tuple(replace(item, movable=item.movable and item.kind != "vm") for item in data_center.workloads)
    return replace(data_center, hosts=hosts, workloads=workloads)


def _after(data_center: DataCenter, places: dict[str, str], carriers: set[str], shut: set[str]) -> DataCenter:
    """Shut VMs and carried containers are no workloads of their own any more; VMs keep the rules of their load."""
    load: dict[str, list[Workload]] = defaultdict(list)
    for item in data_center.workloads:
        load[places[item.id]].append(item)
    workloads = []
    for item in data_center.workloads:
        if item.id in shut or places[item.id] in carriers:
            continue
        kept = replace(item, host=places[item.id])
        for inner in load[item.id] if item.id in carriers else ():
            kept = replace(
                kept,
                priority=max(kept.priority, inner.priority),
                anti_affinity=kept.anti_affinity + tuple(set(inner.anti_affinity) - set(kept.anti_affinity)),
                licences=kept.licences + tuple(set(inner.licences) - set(kept.licences)),
                never_hosts=kept.never_hosts + tuple(set(inner.never_hosts) - set(kept.never_hosts)),
                no_move_hours=kept.no_move_hours + tuple(set(inner.no_move_hours) - set(kept.no_move_hours)),
            )
        workloads.append(kept)
    rules = []
    for rule in data_center.rules:
        members = [places[name] if places[name] in carriers else name for name in rule.workloads if name not in shut]
        if members:
            rules.append(replace(rule, workloads=tuple(dict.fromkeys(members))))
    machines = tuple(host for host in data_center.hosts if host.id not in carriers)
    return replace(data_center, hosts=machines, workloads=tuple(workloads), rules=tuple(rules))


def _sorted(data_center: DataCenter) -> DataCenter:
    """The same, with the lists in which order says nothing in one order."""
    workloads = [
        replace(
            item,
            anti_affinity=tuple(sorted(item.anti_affinity)),
            licences=tuple(sorted(item.licences)),
            never_hosts=tuple(sorted(item.never_hosts)),
            no_move_hours=tuple(sorted(item.no_move_hours)),
        )
        for item in data_center.workloads
    ]
    return replace(data_center, workloads=tuple(workloads))


def _rest(policy: Policy, data_center: DataCenter, answer: Unpacking) -> Policy:
    """What the first plan leaves of the budget of moves and bytes."""
    moved = {move.workload for move in answer.emptying.moves}
    items = [item for item in data_center.workloads if item.id in moved]
    gib = sum((item.allocation.memory_mib or 0) / 1024 + item.copy_gib for item in items)
    moves_left = None if policy.max_moves is None else policy.max_moves - len(moved)
    gib_left = None if policy.max_moved_gib is None else max(0.0, policy.max_moved_gib - gib)
    return replace(policy, max_moves=moves_left, max_moved_gib=gib_left)
