"""Emptying VMs that carry containers before hosts are freed: an emptied VM gives back all that it was promised.

A carrier stands in the data center twice: among the workloads as the VM, and among the hosts, under the same id,
with `inside` naming the host that the VM runs on. First containers leave carriers while every VM keeps its room;
then the emptied VMs are shut down; then hosts are freed. So each step is a plan like any other, and each state on
the way is one that the verifier knows to judge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .assembly import stay_as_is
from .consolidation import plan
from .model import DataCenter, Plan, Policy, Unpacking, Workload
from .problem import problem_of
from .validation import check_input
from .watching import Watch

FEW = 8  # emptied VMs up to which each is tried without: every try is a whole plan
UNPACKS_NOTHING = "Emptying VMs of their containers would free no further host."


def unpack_and_plan(data_center: DataCenter, policy: Policy, watch: Watch | None = None) -> Unpacking:
    """The plan with VMs emptied of their containers where that frees more hosts (or saves more of the objective).

    A carrier whose `can_power_off` is false is never emptied. N+k, the warm reserve and break-even are the
    consolidation's; the budget is shared. Raises Invalid as `plan` does.
    """
    check_input(data_center, policy)
    watch = watch or Watch()
    nothing = _unpacking(data_center, policy, (), watch)
    carriers = [host.id for host in data_center.hosts if host.inside and host.can_power_off]
    if not carriers:
        return nothing
    best = _unpacking(data_center, policy, carriers, watch)
    if _price(best, policy) >= _price(nothing, policy) or not _is_in_time(best, policy):
        return nothing
    emptied = list(best.emptying.hosts_to_power_off)
    for carrier in list(emptied) if len(emptied) <= FEW else []:
        fewer = [name for name in emptied if name != carrier]
        answer = _unpacking(data_center, policy, fewer, watch)
        if _price(answer, policy) <= _price(best, policy) and _is_in_time(answer, policy):
            best, emptied = answer, fewer
    return best


def _unpacking(data_center: DataCenter, policy: Policy, carriers: Iterable[str], watch: Watch) -> Unpacking:
    """The two plans when only those carriers may be emptied."""
    first = _only_carriers_to_free(data_center, set(carriers))
    calm = replace(
        policy, objective="hosts", spare_hosts=0, survive_failures=0, survive_rack=False, break_even_hours=None
    )
    emptying = plan(first, calm, watch) if carriers else stay_as_is(problem_of(first, calm), (UNPACKS_NOTHING,))
    second = closed_up(data_center, emptying)
    return Unpacking(emptying, second, plan(second, _what_is_left(policy, emptying), watch))


def _only_carriers_to_free(data_center: DataCenter, carriers: set[str]) -> DataCenter:
    hosts = [
        host
        if host.id in carriers
        else replace(host, can_power_off=False, power_off_reason=f"{host.label} is not among the VMs to empty")
        for host in data_center.hosts
    ]
    workloads = [
        replace(item, movable=False, immovable_reason=f"{item.label} stays while VMs are emptied")
        if item.kind == "vm"
        else item
        for item in data_center.workloads
    ]
    return replace(data_center, hosts=tuple(hosts), workloads=tuple(workloads))


def closed_up(data_center: DataCenter, emptying: Plan) -> DataCenter:
    """The data center after that plan, without carriers: emptied VMs are gone, the others stand for what they carry."""
    gone = set(emptying.hosts_to_power_off)
    carriers = {host.id for host in data_center.hosts if host.inside} - gone
    place = emptying.placement_after
    carrier_of = {item.id: place[item.id] for item in data_center.workloads if place[item.id] in carriers}
    carried: dict[str, list[Workload]] = {name: [] for name in carriers}
    for item in data_center.workloads:
        if item.id in carrier_of:
            carried[carrier_of[item.id]].append(item)
    workloads = tuple(
        _with_load(replace(item, host=place[item.id]), carried.get(item.id, []))
        for item in data_center.workloads
        if item.id not in gone and item.id not in carrier_of
    )
    rules = []
    for rule in data_center.rules:
        members = dict.fromkeys(carrier_of.get(name, name) for name in rule.workloads if name not in gone)
        if members:
            rules.append(replace(rule, workloads=tuple(members)))
    hosts = tuple(host for host in data_center.hosts if not host.inside)
    return replace(data_center, hosts=hosts, workloads=workloads, rules=tuple(rules))


def _with_load(machine: Workload, carried: list[Workload]) -> Workload:
    """The VM under the rules of what it carries too: it takes that along wherever it moves."""
    if not carried:
        return machine
    return replace(
        machine,
        priority=max(item.priority for item in (machine, *carried)),
        anti_affinity=_all(machine.anti_affinity, *(item.anti_affinity for item in carried)),
        licences=_all(machine.licences, *(item.licences for item in carried)),
        never_hosts=_all(machine.never_hosts, *(item.never_hosts for item in carried)),
        no_move_hours=tuple(sorted({hour for item in (machine, *carried) for hour in item.no_move_hours})),
    )


def _all(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _what_is_left(policy: Policy, emptying: Plan) -> Policy:
    """The policy with the budget less what emptying VMs takes of it; time is looked at for both plans together."""
    moves = {move.workload for move in emptying.moves}
    gib = sum(move.memory_mib / 1024 + move.copy_gib for move in emptying.moves)
    return replace(
        policy,
        max_moves=None if policy.max_moves is None else policy.max_moves - len(moves),
        max_moved_gib=None if policy.max_moved_gib is None else max(0.0, policy.max_moved_gib - gib),
    )


def _is_in_time(answer: Unpacking, policy: Policy) -> bool:
    seconds = answer.emptying.seconds + answer.consolidation.seconds
    return policy.max_minutes is None or seconds <= policy.max_minutes * 60


def _price(answer: Unpacking, policy: Policy) -> tuple[float, float]:
    """What the policy asks to be least, then what it takes to get there."""
    result = answer.consolidation
    main = float(result.hosts_on_after) if policy.objective == "hosts" else result.watts_after
    return main, float(len(answer.emptying.moves))
