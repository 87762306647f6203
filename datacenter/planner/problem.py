"""A data center under a policy as arrays: what every search works on.

A *unit* is what moves as one: a workload, or several kept together by affinity. Rows are units and hosts in
the order of the data center, so that the same input always gives the same arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compatibility import requirements, why_closed, why_incompatible
from .demand import Dimension, demand_of
from .gathering import Gathering, gatherings_of, why_astray
from .grouping import all_rules, domain_of, units_of
from .model import DataCenter, Host, Policy, Rule, Workload
from .windows import why_closed_now, why_fixed_now

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
ALLOWANCE = 1e-9  # of a limit, for the rounding of sums


class Rules(NamedTuple):
    """Rules in rows: unit -> its rules, rule -> its units, scope x host -> domain. `least` 0 means apart."""

    of_unit_start: Ints
    of_unit: Ints
    member_start: Ints
    members: Ints
    scope: Ints
    domain: Ints  # [3 scopes x hosts]
    least: Ints


@dataclass(frozen=True, eq=False)
class Problem:
    """The arrays with the values they were made from."""

    data_center: DataCenter
    policy: Policy
    dimensions: tuple[Dimension, ...]
    units: list[tuple[int, ...]]
    unit_of: Ints  # workload -> unit
    workload_need: Floats
    limits: Floats  # [hosts x dimensions], with the allowance for rounding
    home: Ints  # unit -> host, -1 where not placed yet
    fixed: Flags  # units that may not move
    is_open: Flags  # hosts that take new work while the plan runs
    may_stand_by: Flags  # hosts that take new work at some time, so that an empty one is a reserve
    copy_cost: Floats  # GiB that moving the unit transfers: memory and disks
    rule_values: tuple[Rule, ...]
    rules: Rules
    need: Floats  # [units x dimensions]
    alignment: Floats  # weights of the dot product that keeps the dimensions of a host in step
    scale: Floats  # weight of one unit of each dimension in scores: scarcer weighs more
    group: Ints  # unit -> row of `allowed`
    allowed: Flags  # [distinct requirements x hosts]: compatible and taking new work
    gatherings: dict[str, tuple[Gathering, ...]]  # workload id -> where rules keep it together with others
    steps: Ints  # [resources x recorded steps] -> dimension; empty where no step may be over
    steps_over: int  # recorded steps in which a host may be over its limits
    is_strict: Flags  # dimensions that hold always

    @property
    def hosts(self) -> tuple[Host, ...]:
        return self.data_center.hosts

    @property
    def workloads(self) -> tuple[Workload, ...]:
        return self.data_center.workloads

    @property
    def is_on(self) -> Flags:
        return np.array([host.is_on for host in self.hosts], dtype=bool)

    def free_under(self, assignment: Ints) -> Floats:
        """What each host has left; negative where it is over its limit."""
        placed = assignment >= 0
        load = np.zeros_like(self.limits)
        np.add.at(load, assignment[placed], self.need[placed])
        return self.limits - load

    def holds(self, enough: Flags) -> Flags:
        """Whether limits hold under the policy's risk, from what is enough by dimension (and column, if any)."""
        if not self.steps.size:
            return np.asarray(enough.all(axis=0))
        over = (~enough[self.steps]).any(axis=0)
        return np.asarray(enough[self.is_strict].all(axis=0) & (over.sum(axis=0) <= self.steps_over))

    def unit_label(self, unit: int) -> str:
        return " with ".join(self.workloads[index].label for index in self.units[unit])

    def why_fixed(self, unit: int) -> str | None:
        """The sentence that keeps the unit in place, or None."""
        for index in self.units[unit]:
            reason = why_fixed_now(self.workloads[index], self.policy)
            if reason:
                return reason
        if self.home[unit] >= 0:
            host = self.hosts[self.home[unit]]
            reason = why_closed_now(host, self.policy) if host.is_on else f"its host {host.label} is off"
            if reason:
                return reason
        return "its affinity and anti-affinity contradict each other" if self.fixed[unit] else None


def problem_of(data_center: DataCenter, policy: Policy) -> Problem:
    """The arrays of a checked data center."""
    hosts, workloads = data_center.hosts, data_center.workloads
    host_index = {host.id: index for index, host in enumerate(hosts)}
    demand = demand_of(data_center, policy)
    units = units_of(data_center)
    unit_of = np.zeros(len(workloads), dtype=np.int64)
    for unit, members in enumerate(units):
        unit_of[list(members)] = unit
    need = np.zeros((len(units), len(demand.dimensions)))
    np.add.at(need, unit_of, demand.needs)
    limits = np.minimum(demand.limits, np.maximum(need.sum(axis=0), 1.0) * 2)  # "unlimited" made finite
    rule_values = tuple(rule for rule in all_rules(data_center) if rule.kind != "together")
    gatherings = gatherings_of(data_center)
    rules = _rules_of(data_center, rule_values, unit_of, len(units), host_index)
    home = np.array([host_index.get(workloads[members[0]].host, -1) for members in units], dtype=np.int64)
    is_closed_now = np.array([why_closed_now(host, policy) is not None for host in hosts] or [False], dtype=bool)
    may_stand_by = np.array([why_closed(host) is None for host in hosts], dtype=bool)
    is_open = may_stand_by & ~is_closed_now[: len(hosts)]
    group, allowed = _compatibility(data_center, units, is_open, gatherings)
    copy = np.array([(w.allocation.memory_mib or 0.0) / 1024.0 + w.copy_gib for w in workloads], dtype=float)
    copy_cost = np.zeros(len(units))
    np.add.at(copy_cost, unit_of, copy)
    is_fixed = [why_fixed_now(workload, policy) is not None for workload in workloads]
    fixed = np.array([any(is_fixed[index] for index in members) for members in units], dtype=bool)
    fixed |= _contradictory(rule_values, unit_of, data_center)
    is_on = np.array([host.is_on for host in hosts] or [False], dtype=bool)
    fixed |= (home >= 0) & (~is_on[home] | is_closed_now[home])
    typical = np.maximum(limits.mean(axis=0) if len(hosts) else np.ones(limits.shape[1]), 1e-12)
    pressure = need.sum(axis=0) / np.maximum(limits.sum(axis=0), 1e-12)
    share = _share_of_resource(demand.dimensions)
    scale = pressure / typical * share
    return Problem(
        data_center,
        policy,
        demand.dimensions,
        units,
        unit_of,
        demand.needs,
        limits * (1 + ALLOWANCE) + ALLOWANCE,
        home,
        fixed,
        is_open,
        may_stand_by,
        copy_cost,
        rule_values,
        rules,
        need,
        share / typical**2,
        scale,
        group,
        allowed,
        gatherings,
        demand.steps,
        demand.steps_over,
        ~np.isin(np.arange(len(demand.dimensions)), demand.steps),
    )


def _share_of_resource(dimensions: tuple[Dimension, ...]) -> Floats:
    """One by dimension, divided among the hours of a resource: 168 hours weigh as much as one number."""
    names = [dimension.label for dimension in dimensions]
    return np.array([1.0 / names.count(name) for name in names])


def _compatibility(
    data_center: DataCenter,
    units: list[tuple[int, ...]],
    is_open: Flags,
    gatherings: dict[str, tuple[Gathering, ...]],
) -> tuple[Ints, Flags]:
    """Units with equal requirements share one row of hosts that may take them."""
    rows: dict[tuple[object, ...], int] = {}
    allowed: list[list[bool]] = []
    group = np.zeros(len(units), dtype=np.int64)
    for unit, members in enumerate(units):
        workloads = [data_center.workloads[index] for index in members]
        key = tuple((*requirements(item), gatherings.get(item.id, ())) for item in workloads)
        if key not in rows:
            rows[key] = len(allowed)
            allowed.append([_may_take(host, workloads, gatherings) for host in data_center.hosts])
        group[unit] = rows[key]
    table = np.array(allowed, dtype=bool).reshape(len(allowed), len(data_center.hosts))
    return group, table & is_open


def _may_take(host: Host, workloads: list[Workload], gatherings: dict[str, tuple[Gathering, ...]]) -> bool:
    return all(
        why_incompatible(item, host) is None and why_astray(gatherings.get(item.id, ()), host) is None
        for item in workloads
    )


def _rules_of(
    data_center: DataCenter, values: tuple[Rule, ...], unit_of: Ints, units: int, host_index: dict[str, int]
) -> Rules:
    hosts = data_center.hosts
    position = {workload.id: index for index, workload in enumerate(data_center.workloads)}
    members = [sorted({int(unit_of[position[name]]) for name in rule.workloads}) for rule in values]
    of_unit: list[list[int]] = [[] for _ in range(units)]
    for row, inside in enumerate(members):
        for unit in inside:
            of_unit[unit].append(row)
    domain = np.zeros((3, len(hosts)), dtype=np.int64)
    for row, scope in enumerate(SCOPES):
        numbers: dict[str, int] = {}
        for index, host in enumerate(hosts):
            domain[row, index] = numbers.setdefault(domain_of(host, scope), len(numbers))
    least = np.zeros(len(values), dtype=np.int64)
    for row, rule in enumerate(values):
        if rule.kind == "spread":
            present = {
                domain[SCOPES.index(rule.scope), host_index[data_center.workloads[position[name]].host]]
                for name in rule.workloads
                if data_center.workloads[position[name]].host
            }
            least[row] = min(rule.at_least, len(present))  # what is already less is not made worse
    scope_rows = np.array([SCOPES.index(rule.scope) for rule in values], dtype=np.int64)
    return Rules(*_rows(of_unit), *_rows(members), scope_rows, domain, least)


SCOPES: tuple[Any, ...] = ("host", "rack", "site")


def _rows(lists: list[list[int]]) -> tuple[Ints, Ints]:
    """Lists of different length as one array with the start of each."""
    start = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([len(items) for items in lists], out=start[1:])
    return start, np.array([item for items in lists for item in items], dtype=np.int64)


def _contradictory(values: tuple[Rule, ...], unit_of: Ints, data_center: DataCenter) -> Flags:
    """Units two of whose own members must be apart."""
    position = {workload.id: index for index, workload in enumerate(data_center.workloads)}
    result = np.zeros(int(unit_of.max()) + 1 if len(unit_of) else 0, dtype=bool)
    for rule in values:
        if rule.kind != "apart":
            continue
        inside = [int(unit_of[position[name]]) for name in dict.fromkeys(rule.workloads)]
        for unit in set(inside):
            if inside.count(unit) > 1:
                result[unit] = True
    return result
