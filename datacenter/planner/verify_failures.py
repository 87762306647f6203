"""The judge of N+k: whatever hosts are lost, and whenever, the plan's own list of restarts must fit.

*In the end* each host that stays on is counted with what the plan brings to it. *On the way* the loss is judged at
every moment at once: each host, those to be switched off too, is counted with all that was on it at first and all
that ever comes to it, less nothing; no moment has more. Whatever moves has two places counted so, and restarts in
the one that is not lost; everything else, and what has lost both, must be in the plan's list.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from math import comb

import numpy as np

from .model import DataCenter, JointLoss, Plan, Policy, Rule
from .verify_inputs import Ledger, place_of, unsuitable

SETS_TRIED = 3_000  # of lost hosts; where there are more, those that the plan names are judged
Lost = frozenset[str]


def unsurvived(data_center: DataCenter, policy: Policy, plan: Plan, rules: list[Rule], ledger: Ledger) -> Iterator[str]:
    """A sentence for each loss that the plan's restarts do not make good."""
    if policy.survive_failures or policy.survive_rack:
        court = _Court(data_center, policy, plan, rules, ledger)
        yield from court.in_the_end()
        yield from court.on_the_way()


class _Court:
    def __init__(self, data_center: DataCenter, policy: Policy, plan: Plan, rules: list[Rule], ledger: Ledger) -> None:
        self.policy, self.plan, self.rules, self.ledger = policy, plan, rules, ledger
        self.hosts = {host.id: host for host in data_center.hosts}
        self.workloads = {workload.id: workload for workload in data_center.workloads}
        self.wards = _wards(data_center, policy)
        self.on = {host.id for host in data_center.hosts if host.is_on}

    def in_the_end(self) -> Iterator[str]:
        load: dict[str, np.ndarray | float] = defaultdict(float)
        for name, host in self.plan.placement_after.items():
            load[host] = load[host] + self.ledger.needs[name]
        places = {name: {self.plan.placement_after[name]} - {""} for name in self.wards}
        stays = self.on - set(self.plan.hosts_to_power_off)
        alone, together = self.plan.restart_on, self.plan.restart_after
        for lost, restarts in self._judged(places, stays, alone, together, load):
            yield from self._rules_broken(lost, restarts)
        yield from self.found

    def on_the_way(self) -> Iterator[str]:
        load: dict[str, np.ndarray | float] = defaultdict(float)
        for name, host in self.plan.placement_before.items():
            load[host] = load[host] + self.ledger.needs[name]
        for move in self.plan.moves:
            load[move.target] = load[move.target] + self.ledger.needs[move.workload]
        before, after = self.plan.placement_before, self.plan.placement_after
        places = {name: {before[name], after[name]} - {""} for name in self.wards}
        alone, together = self.plan.restart_on_way, self.plan.restart_after_on_way
        noted = {frozenset(names) for names in self.plan.unsurvived_on_way}
        list(self._judged(places, self.on, alone, together, load, is_noted=noted.__contains__))
        yield from self.found
        if noted and not self.plan.warnings:
            yield "The plan notes losses that are not survived on the way, and warns of none."

    def _judged(
        self,
        places: dict[str, set[str]],
        on: set[str],
        alone: dict[str, str],
        together: tuple[JointLoss, ...],
        load: dict[str, np.ndarray | float],
        is_noted: Callable[[Lost], bool] = lambda lost: False,
    ) -> Iterator[tuple[Lost, dict[str, str]]]:
        """Each loss with the restarts after it; `found` holds what is wrong with them."""
        self.found: list[str] = []
        elsewhere = {frozenset(loss.hosts): loss.restart_on for loss in together}
        at: dict[str, list[str]] = defaultdict(list)
        for name, hosts in places.items():
            for host in hosts:
                at[host].append(name)
        busy = sorted(host for host in at if host in on)
        for lost in (lost for lost in self._losses(busy, on, elsewhere) if not is_noted(lost)):
            homeless = dict.fromkeys(name for host in sorted(lost) for name in at[host] if places[name] <= lost)
            restarts = {name: elsewhere.get(lost, {}).get(name) or alone.get(name, "") for name in homeless}
            added: dict[str, np.ndarray | float] = defaultdict(float)
            for name, target in restarts.items():
                if target not in on or target in lost or unsuitable(self.workloads[name], self.hosts[target]):
                    self.found.append(f"{name} has no host to restart on when {_named(lost)} is lost.")
                else:
                    added[target] = added[target] + self.ledger.needs[name]
            for target, more in added.items():
                if self.ledger.is_over(target, load[target] + more):
                    self.found.append(f"{target} cannot take all that restarts there without {_named(lost)}.")
            yield lost, restarts

    def _rules_broken(self, lost: Lost, restarts: dict[str, str]) -> Iterator[str]:
        """Rules that the restarts break, beside what is broken when all is well."""
        now = self.plan.placement_after | restarts
        for rule in self.rules:
            members = dict.fromkeys(rule.workloads)
            if rule.kind != "apart" or restarts.keys().isdisjoint(members):
                continue
            places = {name: place_of(rule, self.hosts[now[name]]) for name in members if now[name]}
            for name in (name for name in members if name in restarts and name in places):
                stayed = places[name] == place_of(rule, self.hosts[self.plan.placement_after[name]])
                if not stayed and list(places.values()).count(places[name]) > 1:
                    yield f"Rule {rule.name} is broken when {_named(lost)} is lost and {name} restarts."

    def _losses(self, busy: list[str], on: set[str], named: dict[Lost, dict[str, str]]) -> Iterator[Lost]:
        """The sets of hosts to lose: each, each rack if asked, and every combination of k, or those the plan names."""
        yield from (frozenset({host}) for host in busy)
        if self.policy.survive_rack:
            racks: dict[tuple[str, str], set[str]] = defaultdict(set)
            for host in self.hosts.values():
                if host.rack and host.id in on:
                    racks[host.site, host.rack].add(host.id)
            yield from (frozenset(members) for members in racks.values())
        for size in range(2, self.policy.survive_failures + 1):
            if comb(len(on), size) <= SETS_TRIED:
                yield from (frozenset(lost) for lost in combinations(sorted(on), size))
            else:
                yield from (lost for lost in named if len(lost) == size)


def _wards(data_center: DataCenter, policy: Policy) -> list[str]:
    """Workloads that must restart: of the priority asked for and not pinned, nor kept on one host with such a one."""
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in data_center.workloads:
        for group in item.affinity:
            together[group, item.host].append(item.id)

    def spread(names: set[str]) -> set[str]:
        """With all that is kept together with one of them, and so on."""
        reached = names | {mate for mates in together.values() if names.intersection(mates) for mate in mates}
        return reached if reached == names else spread(reached)

    bound = spread({item.id for item in data_center.workloads if item.pinned})
    wanted = spread({item.id for item in data_center.workloads if item.priority >= policy.survive_priority})
    return [item.id for item in data_center.workloads if item.id in wanted - bound]


def _named(lost: Lost) -> str:
    return " with ".join(sorted(lost))
