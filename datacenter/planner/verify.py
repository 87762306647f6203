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

from .model import DataCenter, Move, Plan, Policy, Rule
from .verify_failures import unsurvived
from .verify_inputs import TOLERANCE, WEEK, Ledger, place_of, unsuitable

TIME_TOLERANCE_S = 0.01  # times are rounded to milliseconds


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
        self.ledger = Ledger(data_center, policy)
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
            if workload.pinned or not workload.movable or self._is_closed_now(workload.no_move_hours):
                self._say(move, "fixed", f"{move.id} moves {workload.label}, which may not move.")
            ends = [self.hosts[name] for name in (move.source, move.target) if name in self.hosts]
            if any(self._is_closed_now(host.no_move_hours) for host in ends):
                self._say(move, "fixed", f"{move.id} touches a host in an hour in which it must not.")
            if move.source in self.hosts and not self.hosts[move.source].is_on:
                self._say(move, "on", f"{move.id} moves {workload.label} off a host that is off.")
            for reason in unsuitable(workload, target):
                self._say(move, "compatible", f"{move.id}: {workload.label} cannot run on {target.label}: {reason}.")
            place[workload.id], last[workload.id] = move.target, move.id
            seen.add(move.id)
        return not self.found

    def _capacity_holds(self) -> None:
        needs = self.ledger.needs
        worst: dict[str, np.ndarray] = {}
        for workload in self.data_center.workloads:
            if workload.host:
                worst[workload.host] = worst.get(workload.host, 0.0) + needs[workload.id]
        self.overloaded = {name for name, load in worst.items() if self.ledger.is_over(name, load)}
        moves = {move.id: move for move in self.plan.moves}
        for move in self.plan.moves:
            load = worst.get(move.target, 0.0) + needs[move.workload]
            worst[move.target] = load
            for name in set(move.after):
                if moves[name].source == move.target:
                    load = load - needs[moves[name].workload]
            if self.ledger.is_over(move.target, load):
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
                if rule.kind == "together":
                    self._together(move, rule)
                elif rule.kind == "apart":
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

    def _together(self, move: Move, rule: Rule) -> None:
        homes = [self._place(rule, self.start[name]) for name in dict.fromkeys(rule.workloads) if self.start[name]]
        there = self._place(rule, move.target)
        if there != self._place(rule, move.source) and homes.count(there) < max(map(homes.count, homes)):
            self._say(move, rule.name, f"{move.id} takes {move.workload} away from the others of rule {rule.name}.")

    def _is_closed_now(self, no_move_hours: tuple[int, ...]) -> bool:
        policy = self.policy
        if policy.start_hour is None or policy.max_minutes is None:
            return False
        last = policy.start_hour + policy.max_minutes / 60 + 1
        return any(policy.start_hour <= hour + week < last for hour in no_move_hours for week in (0, WEEK))

    def _spread(self, move: Move, rule: Rule, others: list[str]) -> None:
        before = {self._place(rule, self.start[name]) for name in rule.workloads if self.start[name]}
        after = {self._place(rule, host) for host in others} | {self._place(rule, move.target)}
        if len(after) < min(rule.at_least, len(before)):
            self._say(move, rule.name, f"{move.id} leaves rule {rule.name} in too few places.")

    def _place(self, rule: Rule, host_id: str) -> tuple[str, ...]:
        return place_of(rule, self.hosts[host_id])

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
        self._timetable_holds()
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

    def _timetable_holds(self) -> None:
        """The predicted times: after what each waits for, no more at once than allowed, and not too long in all."""
        ends = {move.id: move.starts_s + move.seconds for move in self.plan.moves}
        lanes: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        for move in self.plan.moves:
            if any(ends[name] > move.starts_s + TIME_TOLERANCE_S for name in move.after):
                self._say(move, "times", f"{move.id} is to start before a move that it waits for ends.")
            for lane in (("in", move.target), ("out", move.source)):
                lanes[lane] += [(move.starts_s + TIME_TOLERANCE_S, 1), (ends[move.id] - TIME_TOLERANCE_S, -1)]
        allowed = {"in": self.policy.moves_in_per_host, "out": self.policy.moves_out_per_host}
        for (way, host), changes in lanes.items():
            if max(np.cumsum([step for _, step in sorted(changes)])) > allowed[way]:
                self._say(None, "times", f"More moves go {way} at {host} at once than the policy allows.")
        most = self.policy.max_minutes
        if self.plan.goal == "consolidate" and most is not None and max(ends.values(), default=0.0) > most * 60 + 0.01:
            self._say(None, "budget", "The moves take longer than the policy allows.")

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
        if plan.goal == "consolidate" and plan.watts_after < plan.lower_bound.watts * (1 - TOLERANCE) - 0.01:
            self._say(None, "bound", "The plan draws fewer watts than its own lower bound: the bound is wrong.")
        for watts, placement, hosts in (
            (plan.watts_before, self.start, on),
            (plan.watts_after, after, on - off),
        ):
            if abs(watts - self._watts(placement, hosts)) > 0.01 + TOLERANCE * watts:
                self._say(None, "watts", f"The plan claims {watts:g} W where it should be another number.")
        if plan.goal == "consolidate":
            self._reasons_are_given(on - off, after)
            self._failures_are_survived()

    def _reasons_are_given(self, on: set[str], after: dict[str, str]) -> None:
        saves = {
            "hosts": False,
            "watts": self.plan.watts_after < self.plan.watts_before,
            "money": self._money(after, self.plan.watts_after) < self._money(self.start, self.plan.watts_before),
        }[self.policy.objective]
        mends = self._broken(after) < self._broken(self.start)
        if not (not self.plan.moves or self.plan.hosts_to_power_off or saves or mends or self.overloaded):
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

    def _broken(self, placement: dict[str, str]) -> int:
        """Places that rules lack under a placement."""
        lack = 0
        for rule in self.rules:
            places = [self._place(rule, placement[name]) for name in dict.fromkeys(rule.workloads) if placement[name]]
            wanted = {"apart": len(places), "spread": min(rule.at_least, len(places))}.get(rule.kind, 0)
            lack += max(0, wanted - len(set(places)))
        return lack

    def _failures_are_survived(self) -> None:
        if self.plan.hosts_to_power_off:
            for sentence in unsurvived(self.data_center, self.policy, self.plan, self.rules, self.ledger):
                self._say(None, "failures", sentence)

    def _money(self, placement: dict[str, str], watts: float) -> float:
        """A year's energy, and the cores of each host on which a licensed product runs."""
        price = {licence.product: licence.price_per_core_year for licence in self.policy.licences}
        used = {(host, product) for name, host in placement.items() for product in self.workloads[name].licences}
        cores = sum((self.hosts[h].capacity.cpu_cores or 0.0) * price.get(p, 0.0) for h, p in used if h)
        return watts * 8.766 * self.policy.price_per_kwh + cores

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
