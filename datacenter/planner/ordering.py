"""An order of moves in which every state on the way fits, however the moves overlap.

Moves are put in a sequence. A move may start once all it names in `after` are done. Each host's worst case
for an incoming move is counted as: all that was there at first, and all that came in earlier in the sequence,
less only what left by a move that this one waits for. Whatever subset of moves has run at some moment, the
last incoming one of that subset was admitted against at least that load; so no execution that obeys `after`
can overfill a host. Anti-affinity is kept by the same argument. A cycle is broken by parking a workload on a
third host for a while.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from .durations import Timetable, move_seconds
from .model import Move
from .packing import Packing
from .problem import Ints, Problem


@dataclass(frozen=True)
class Ordered:
    """The moves in sequence, where every unit is after them, and the units that cannot reach their goal."""

    moves: tuple[Move, ...]
    reached: Ints
    stuck: tuple[int, ...]


@dataclass
class _Stay:
    """A unit's time on a host: until its `leaving` step is done, or for good."""

    host: int
    leaving: int | None = None


@dataclass(frozen=True)
class _Step:
    unit: int
    source: int
    target: int
    after: tuple[int, ...]
    is_parking: bool


def order_moves(problem: Problem, goal: Ints) -> Ordered:
    """Moves that bring every placed unit from its home to its goal, as far as that is possible safely."""
    sequence = _Sequence(problem)
    pending = _longest_queues_first(problem, goal)
    while pending:
        left = [unit for unit in pending if not sequence.try_step(unit, int(goal[unit]))]
        if len(left) == len(pending) and not sequence.park_one(left):
            break
        pending = left
    return Ordered(_moves_of(problem, sequence.steps, sequence.place), sequence.place, tuple(pending))


class _Sequence:
    """The steps so far, and each host's worst case under them."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.slack = problem.free_under(problem.home)  # no departure counted
        self.place = problem.home.copy()
        self.steps: list[_Step] = []
        self.stays: dict[int, list[_Stay]] = {}
        self.arrival: dict[int, int] = {}  # unit -> the step that brought it where it is
        self.departures: dict[int, list[int]] = defaultdict(list)  # host -> steps
        self.last_of_spread: dict[int, int] = {}  # rule -> its latest step
        self.parked: set[int] = set()

    def try_step(self, unit: int, target: int, is_parking: bool = False) -> bool:
        """Appends the step if it can be made safe; False otherwise."""
        waits = self._waits(unit, target)
        if waits is None:
            return False
        number, source = len(self.steps), int(self.place[unit])
        self.steps.append(_Step(unit, source, target, tuple(sorted(waits)), is_parking))
        stays = self._stays_of(unit)
        stays[-1].leaving = number
        stays.append(_Stay(target))
        self.slack[target] -= self.problem.need[unit]
        self.departures[source].append(number)
        self.arrival[unit] = number
        self.place[unit] = target
        rules = self.problem.rules
        for rule in rules.of_unit[rules.of_unit_start[unit] : rules.of_unit_start[unit + 1]]:
            if rules.least[rule]:
                self.last_of_spread[int(rule)] = number
        return True

    def park_one(self, stuck: list[int]) -> bool:
        """Moves the smallest stuck unit to any host that can hold it for a while."""
        weights = self.problem.need @ self.problem.scale
        for unit in sorted(stuck, key=lambda unit: (weights[unit], unit)):
            if unit in self.parked:
                continue
            packing = Packing(self.problem, self.place, np.flatnonzero(self.problem.is_open))
            packing.free = np.ascontiguousarray(self.slack[packing.receivers].T)
            for row in np.flatnonzero(packing.candidates(unit)):
                if self.try_step(unit, int(packing.receivers[row]), is_parking=True):
                    self.parked.add(unit)
                    return True
        return False

    def _waits(self, unit: int, target: int) -> set[int] | None:
        """The steps that must be done first; None while the move cannot be made safe."""
        waits = self._rule_waits(unit, target)
        if waits is None:
            return None
        need = self.problem.need
        missing = need[unit] - self.slack[target]
        for step in waits:
            if self.steps[step].source == target:
                missing = missing - need[self.steps[step].unit]
        for step in self.departures[target]:
            if self.problem.holds(missing <= 0):
                break
            if step not in waits:
                waits.add(step)
                missing = missing - need[self.steps[step].unit]
        return waits if self.problem.holds(missing <= 0) else None

    def _rule_waits(self, unit: int, target: int) -> set[int] | None:
        rules, source = self.problem.rules, int(self.place[unit])
        waits = {self.arrival[unit]} if unit in self.arrival else set()
        for rule in rules.of_unit[rules.of_unit_start[unit] : rules.of_unit_start[unit + 1]]:
            domain = rules.domain[rules.scope[rule]]
            members = rules.members[rules.member_start[rule] : rules.member_start[rule + 1]]
            mates = [int(mate) for mate in members if mate != unit]
            if rules.least[rule]:
                after = {int(domain[self.place[mate]]) for mate in mates if self.place[mate] >= 0}
                if len(after | {int(domain[target])}) < rules.least[rule]:
                    return None
                if int(rule) in self.last_of_spread:  # one at a time, so that every state is one counted here
                    waits.add(self.last_of_spread[int(rule)])
            elif domain[source] != domain[target]:
                for stay in (stay for mate in mates for stay in self._stays_of(mate)):
                    if stay.host < 0 or domain[stay.host] != domain[target]:
                        continue
                    if stay.leaving is None:
                        return None
                    waits.add(stay.leaving)
        return waits

    def _stays_of(self, unit: int) -> list[_Stay]:
        return self.stays.setdefault(unit, [_Stay(int(self.problem.home[unit]))])


def _longest_queues_first(problem: Problem, goal: Ints) -> list[int]:
    """Units to move, first those whose source or target has most moves to make: rounds fill evenly."""
    units = [int(unit) for unit in np.flatnonzero((goal != problem.home) & (problem.home >= 0))]
    leaving = Counter(int(problem.home[unit]) for unit in units)
    coming = Counter(int(goal[unit]) for unit in units)
    return sorted(units, key=lambda unit: (-max(leaving[int(problem.home[unit])], coming[int(goal[unit])]), unit))


def _moves_of(problem: Problem, steps: list[_Step], reached: Ints) -> tuple[Move, ...]:
    """The steps as moves of single workloads, with the earliest round each can run in."""
    ids: list[list[str]] = []
    waves: list[int] = []
    moves: list[Move] = []
    incoming: Counter[tuple[int, int]] = Counter()
    outgoing: Counter[tuple[int, int]] = Counter()
    hosts, policy = problem.hosts, problem.policy
    busy = {int(host) for host in reached}
    timetable = Timetable(policy)
    for step in steps:
        earliest = 1 + max((waves[other] for other in step.after), default=0)
        wave = earliest
        ids.append([])
        for index in problem.units[step.unit]:
            wave = earliest
            while (
                incoming[step.target, wave] >= policy.moves_in_per_host
                or outgoing[step.source, wave] >= policy.moves_out_per_host
            ):
                wave += 1
            incoming[step.target, wave] += 1
            outgoing[step.source, wave] += 1
            ids[-1].append(f"m{len(moves) + 1}")
            workload, source = problem.workloads[index], hosts[step.source]
            after = tuple(name for other in step.after for name in ids[other])
            seconds, blackout_s = move_seconds(workload, policy)
            starts_s = timetable.enter(ids[-1][-1], step.source, step.target, after, seconds)
            moves.append(
                Move(
                    id=ids[-1][-1],
                    workload=workload.id,
                    source=source.id,
                    target=hosts[step.target].id,
                    after=after,
                    reason=(
                        f"waits on {hosts[step.target].label} until its own place is free"
                        if step.is_parking
                        else f"to bring {source.label} within its limits"
                        if step.source in busy
                        else f"to empty {source.label}"
                    ),
                    wave=wave,
                    memory_mib=workload.allocation.memory_mib or 0.0,
                    copy_gib=workload.copy_gib,
                    starts_s=round(starts_s, 3),
                    seconds=round(seconds, 3),
                    blackout_ms=round(blackout_s * 1000, 1),
                )
            )
        waves.append(max([wave, earliest]))
    return tuple(moves)
