"""The independent judge: is this plan safe and true? Written from the plain inputs, without any search code.

It shares nothing with the planner but the values of `model`. What it proves for every plan it passes:

- Each move starts where its workload is, ends on a host that may take it, and is listed after what it awaits.
- Source and target are both reserved while a move runs, and no host is overfilled in *any* execution that
  obeys `after`: each incoming move is counted with everything present at first and everything that came in
  before it in the list, less only what left by a move it names in `after`. Whichever subset of moves has run,
  its last incoming move in the list was checked against at least that load.
- Anti-affinity holds at every moment by the same argument, spread rules in every state of their chain.
- The freed hosts are empty and may be switched off; placements, watts, counts and reasons are as claimed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from .model import DataCenter, Host, Move, Plan, Policy, Rule, Workload

TOLERANCE = 1e-6
WEEK = 168


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, at which move (empty: with the plan as a whole)."""

    move: str
    rule: str
    sentence: str


def verify_plan(data_center: DataCenter, policy: Policy, plan: Plan) -> list[Violation]:
    """Everything wrong with the plan; an empty list means that it is safe and says the truth."""
    return _Judge(data_center, policy, plan).violations()


class _Judge:
    def __init__(self, data_center: DataCenter, policy: Policy, plan: Plan) -> None:
        self.policy, self.plan, self.data_center = policy, plan, data_center
        self.hosts = {host.id: host for host in data_center.hosts}
        self.workloads = {workload.id: workload for workload in data_center.workloads}
        self.start = {workload.id: workload.host for workload in data_center.workloads}
        self.found: list[Violation] = []
        self.overloaded: set[str] = set()  # hosts over their limits before any move
        self.rules = list(data_center.rules)
        groups: dict[str, list[str]] = defaultdict(list)
        for workload in data_center.workloads:
            for group in workload.anti_affinity:
                groups[group].append(workload.id)
        self.rules += [Rule(name, tuple(members)) for name, members in groups.items()]
        self.rules_of: dict[str, list[int]] = defaultdict(list)
        for number, rule in enumerate(self.rules):
            for member in dict.fromkeys(rule.workloads):
                self.rules_of[member].append(number)

    def violations(self) -> list[Violation]:
        if self._moves_make_sense():
            self._capacity_holds()
            self._rules_hold()
            self._affinity_holds()
            self._limits_on_moves_hold()
            self._claims_are_true()
        return self.found

    def _say(self, move: Move | None, rule: str, sentence: str) -> None:
        self.found.append(Violation(move.id if move else "", rule, sentence))

    def _moves_make_sense(self) -> bool:
        place = dict(self.start)
        last: dict[str, str] = {}
        seen: set[str] = set()
        for move in self.plan.moves:
            workload, target = self.workloads.get(move.workload), self.hosts.get(move.target)
            if workload is None or target is None:
                self._say(move, "known", f"{move.id} names a workload or a host that does not exist.")
                return False
            if move.id in seen or not set(move.after) <= seen:
                self._say(move, "order", f"{move.id} waits for a move that is not listed before it.")
            if place[workload.id] != move.source or move.source == move.target:
                self._say(move, "source", f"{move.id}: {workload.label} is on {place[workload.id]}.")
            if workload.id in last and last[workload.id] not in move.after:
                self._say(move, "order", f"{move.id} does not wait for the move that brings {workload.label}.")
            if workload.pinned or not workload.movable:
                self._say(move, "fixed", f"{move.id} moves {workload.label}, which may not move.")
            if move.source in self.hosts and not self.hosts[move.source].is_on:
                self._say(move, "on", f"{move.id} moves {workload.label} off a host that is off.")
            for reason in _unsuitable(workload, target):
                self._say(move, "compatible", f"{move.id}: {workload.label} cannot run on {target.label}: {reason}.")
            place[workload.id], last[workload.id] = move.target, move.id
            seen.add(move.id)
        return not self.found

    def _capacity_holds(self) -> None:
        needs, limits = _numbers(self.data_center, self.policy)
        worst: dict[str, np.ndarray] = {}
        for workload in self.data_center.workloads:
            if workload.host:
                worst[workload.host] = worst.get(workload.host, 0.0) + needs[workload.id]
        self.overloaded = {name for name, load in worst.items() if (load > limits[name]).any()}
        moves = {move.id: move for move in self.plan.moves}
        for move in self.plan.moves:
            load = worst.get(move.target, 0.0) + needs[move.workload]
            worst[move.target] = load
            for name in set(move.after):
                if moves[name].source == move.target:
                    load = load - needs[moves[name].workload]
            if (load > limits[move.target] * (1 + TOLERANCE) + TOLERANCE).any():
                self._say(move, "capacity", f"{move.id} can overfill {move.target} while moves run in parallel.")

    def _rules_hold(self) -> None:
        """Follows, for every rule, where each member may be at the moment a move starts."""
        visits: dict[str, list[list[str]]] = {  # workload -> [host, id of the move that leaves it]
            name: [[host, ""]] for name, host in self.start.items() if host
        }
        chain: dict[int, str] = {}
        for move in self.plan.moves:
            for number in self.rules_of[move.workload]:
                rule = self.rules[number]
                others = [name for name in dict.fromkeys(rule.workloads) if name != move.workload]
                if rule.kind == "apart":
                    self._apart(move, rule, [visit for name in others for visit in visits.get(name, [])])
                else:
                    self._spread(move, rule, [visits[name][-1][0] for name in others if name in visits])
                    if number in chain and chain[number] not in move.after:
                        self._say(move, rule.name, f"{move.id} may overlap another move of rule {rule.name}.")
                    chain[number] = move.id
            visits[move.workload][-1][1] = move.id
            visits[move.workload].append([move.target, ""])

    def _apart(self, move: Move, rule: Rule, visits: list[list[str]]) -> None:
        there = self._place(rule, move.target)
        if there == self._place(rule, move.source):
            return
        for host, leaving in visits:
            if self._place(rule, host) == there and (not leaving or leaving not in move.after):
                self._say(move, rule.name, f"{move.id} brings together what rule {rule.name} keeps apart.")
                return

    def _spread(self, move: Move, rule: Rule, others: list[str]) -> None:
        before = {self._place(rule, self.start[name]) for name in rule.workloads if self.start[name]}
        after = {self._place(rule, host) for host in others} | {self._place(rule, move.target)}
        if len(after) < min(rule.at_least, len(before)):
            self._say(move, rule.name, f"{move.id} leaves rule {rule.name} in too few places.")

    def _place(self, rule: Rule, host_id: str) -> tuple[str, ...]:
        host = self.hosts[host_id]
        if rule.scope == "rack" and host.rack:
            return ("rack", host.site, host.rack)
        if rule.scope == "site" and host.site:
            return ("site", host.site)
        return ("host", host.id)

    def _affinity_holds(self) -> None:
        together: dict[tuple[str, str], list[str]] = defaultdict(list)
        for workload in self.data_center.workloads:
            for group in workload.affinity:
                together[group, workload.host].append(workload.id)
        for (group, host), members in together.items():
            if host and len({self.plan.placement_after.get(name) for name in members}) > 1:
                self._say(None, "affinity", f"The plan separates the members of affinity group {group}.")

    def _limits_on_moves_hold(self) -> None:
        policy, moves = self.policy, self.plan.moves
        waves = {move.id: move.wave for move in moves}
        incoming: dict[tuple[str, int], int] = defaultdict(int)
        outgoing: dict[tuple[str, int], int] = defaultdict(int)
        for move in moves:
            incoming[move.target, move.wave] += 1
            outgoing[move.source, move.wave] += 1
            if any(waves[name] >= move.wave for name in move.after):
                self._say(move, "waves", f"{move.id} runs in a round before one it waits for is over.")
        if max(incoming.values(), default=0) > policy.moves_in_per_host:
            self._say(None, "waves", "A round brings more moves to a host than the policy allows.")
        if max(outgoing.values(), default=0) > policy.moves_out_per_host:
            self._say(None, "waves", "A round takes more moves from a host than the policy allows.")
        if self.plan.goal != "consolidate":
            return
        moved = {move.workload for move in moves}
        gib = sum(
            (self.workloads[name].allocation.memory_mib or 0) / 1024 + self.workloads[name].copy_gib for name in moved
        )
        if policy.max_moves is not None and len(moved) > policy.max_moves:
            self._say(
                None,
                "budget",
                f"The plan moves {len(moved)} workloads; the policy allows {policy.max_moves}.",
            )
        if policy.max_moved_gib is not None and gib > policy.max_moved_gib * (1 + TOLERANCE):
            self._say(
                None,
                "budget",
                f"The plan moves {gib:,.1f} GiB; the policy allows {policy.max_moved_gib:,.1f}.",
            )

    def _claims_are_true(self) -> None:
        plan, on = self.plan, {host.id for host in self.data_center.hosts if host.is_on}
        after = dict(self.start)
        for move in plan.moves:
            after[move.workload] = move.target
        off = set(plan.hosts_to_power_off)
        if plan.placement_before != self.start or plan.placement_after != after:
            self._say(None, "placement", "The placements beside the plan are not those its moves lead to.")
        for name in sorted(off):
            host = self.hosts.get(name)
            if host is None or name not in on or not host.can_power_off:
                self._say(None, "power", f"{name} cannot be switched off.")
        for name in sorted(off & set(after.values())):
            self._say(None, "power", f"{name} is to be switched off with work on it.")
        if plan.hosts_on_before != len(on) or plan.hosts_on_after != len(on - off):
            self._say(None, "counts", "The numbers of hosts beside the plan are wrong.")
        if len(on - off) < plan.lower_bound.hosts and plan.goal == "consolidate":
            self._say(None, "bound", "The plan uses fewer hosts than its own lower bound: the bound is wrong.")
        for watts, placement, hosts in (
            (plan.watts_before, self.start, on),
            (plan.watts_after, after, on - off),
        ):
            if abs(watts - self._watts(placement, hosts)) > 0.01 + TOLERANCE * watts:
                self._say(None, "watts", f"The plan claims {watts:g} W where it should be another number.")
        if plan.goal == "consolidate":
            self._reasons_are_given(on - off, after)
            self._failures_are_survived(on - off, after)

    def _reasons_are_given(self, on: set[str], after: dict[str, str]) -> None:
        saves = self.policy.objective == "watts" and self.plan.watts_after < self.plan.watts_before
        if self.plan.moves and not self.plan.hosts_to_power_off and not saves and not self.overloaded:
            self._say(None, "useless", "The plan moves workloads and frees no host.")
        if {kept.host for kept in self.plan.hosts_kept} != on or not all(k.sentence for k in self.plan.hosts_kept):
            self._say(None, "reasons", "Not every host that stays on has its reason.")
        stays = {name for name, host in after.items() if host == self.start[name]}
        if {item.workload for item in self.plan.workloads_unmoved if item.sentence} != stays:
            self._say(None, "reasons", "Not every workload that stays has its sentence.")
        empty = [name for name in on - set(after.values()) if self.hosts[name].accepts_work]
        freed = [name for name in self.plan.hosts_to_power_off if self.hosts[name].accepts_work]
        if freed and len(empty) < self.policy.spare_hosts:
            self._say(None, "reserve", "The plan leaves no warm reserve.")

    def _failures_are_survived(self, on: set[str], after: dict[str, str]) -> None:
        """N+1: every workload has a place to restart, where all that restart there with it fit as well."""
        if not self.policy.survive_failures or not self.plan.hosts_to_power_off:
            return
        needs, limits = _numbers(self.data_center, self.policy)
        load: dict[str, np.ndarray] = {}
        lost: dict[str, list[str]] = defaultdict(list)
        for name, host in after.items():
            if host in on:
                load[host] = load.get(host, 0.0) + needs[name]
                if not self.workloads[name].pinned:
                    lost[host].append(name)
        for host, names in lost.items():
            added: dict[str, np.ndarray] = {}
            for name in names:
                target = self.plan.restart_on.get(name, "")
                if target not in on or target == host or _unsuitable(self.workloads[name], self.hosts[target]):
                    self._say(None, "failures", f"{name} has no host to restart on when {host} is lost.")
                    return
                added[target] = added.get(target, 0.0) + needs[name]
            for target, more in added.items():
                if (load.get(target, 0.0) + more > limits[target] * (1 + TOLERANCE) + TOLERANCE).any():
                    self._say(None, "failures", f"{target} cannot take all that restarts there without {host}.")

    def _watts(self, placement: dict[str, str], on: set[str]) -> float:
        used: dict[str, float] = defaultdict(float)
        for name, host in placement.items():
            workload = self.workloads[name]
            peak = workload.observed_p95.cpu_cores if workload.observed_p95 else None
            promised = (workload.allocation.cpu_cores or 0.0) / self.policy.cpu_overcommit
            used[host] += promised if peak is None else peak
        total = 0.0
        for machine in (self.hosts[name] for name in on):
            cores = machine.capacity.cpu_cores
            share = min(1.0, used[machine.id] / cores) if cores else 0.0
            total += machine.idle_watts * (1 - share) + machine.peak_watts * share
        return total


def _unsuitable(workload: Workload, host: Host) -> list[str]:
    """Everything about the host that forbids the workload."""
    checks = {
        "it is off": host.is_on,
        "it takes no new work": host.accepts_work,
        "it has no hypervisor": workload.kind != "vm" or host.has_hypervisor,
        "it has no container engine": workload.kind != "container" or host.has_engine,
        "its architecture differs": workload.architecture in ("", host.architecture),
        "its CPU model differs": workload.cpu_model in ("", host.cpu_model),
        "a bridge is missing": set(workload.bridges) <= set(host.bridges),
        "a storage pool is missing": set(workload.pools) <= set(host.pools),
        "it is not among the allowed hosts": not workload.only_hosts or host.id in workload.only_hosts,
        "it is excluded": host.id not in workload.never_hosts,
    }
    return [reason for reason, holds in checks.items() if not holds]


def _numbers(data_center: DataCenter, policy: Policy) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Demand of each workload and limit of each host, in the same columns (168 by hour)."""
    free = {
        "cpu_cores": policy.cpu_headroom,
        "memory_mib": policy.memory_headroom,
        "disk_gib": policy.disk_headroom,
        "disk_io_mib_s": policy.disk_io_headroom,
        "network_mbit_s": policy.network_headroom,
    }
    hourly = any(item.profile is not None for item in data_center.workloads) and policy.use_profiles
    width = WEEK if hourly else 1
    needs, limits = {}, {}
    for workload in data_center.workloads:
        columns: list[np.ndarray] = []
        for name in free:
            promised = getattr(workload.allocation, name) or 0.0
            promised /= {"cpu_cores": policy.cpu_overcommit, "memory_mib": policy.memory_overcommit}.get(name, 1.0)
            seen = getattr(workload.observed_p95, name) if workload.observed_p95 else None
            if name == "cpu_cores" and policy.cpu_counting == "separate":
                columns.append(np.array([promised]))
                flat = promised if seen is None else seen
            else:
                flat = max(promised, seen or 0.0)
            hours = getattr(workload.profile, name, ()) if workload.profile and hourly else ()
            if name in ("cpu_cores", "memory_mib"):
                columns.append(np.array(hours) if len(hours) else np.full(width, flat))
            else:
                columns.append(np.array([flat]))
        needs[workload.id] = np.concatenate(columns)
    for host in data_center.hosts:
        columns = []
        for name, headroom in free.items():
            capacity = getattr(host.capacity, name)
            amount = np.inf if capacity is None else capacity * (1 - headroom)
            if name == "cpu_cores" and policy.cpu_counting == "separate":
                columns.append(np.array([np.inf if capacity is None else capacity]))
            columns.append(np.full(width if name in ("cpu_cores", "memory_mib") else 1, amount))
        limits[host.id] = np.concatenate(columns)
    return needs, limits
