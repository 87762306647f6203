"""A placement that is being worked on: what is free where, and where a unit fits best."""

from __future__ import annotations

import numpy as np

from .problem import Flags, Ints, Problem


class Packing:
    """An assignment of units to hosts with what it leaves free on the hosts that may receive.

    `receivers` are the only hosts that get anything. Rows of `free` are dimensions, so that one comparison
    runs over all receivers at once: best fit over 1,500 hosts takes some 10 microseconds.
    """

    def __init__(self, problem: Problem, assignment: Ints, receivers: Ints) -> None:
        self.problem = problem
        self.assignment = assignment.copy()
        self.receivers = receivers
        self.row_of = np.full(len(problem.hosts), -1, dtype=np.int64)
        self.row_of[receivers] = np.arange(len(receivers))
        self.free = np.ascontiguousarray(problem.free_under(assignment)[receivers].T)
        self.slack = problem.scale @ self.free
        self.weight = problem.need @ problem.scale
        self.allowed = problem.allowed[:, receivers]
        self.is_closed = np.zeros(len(receivers), dtype=bool)

    def candidates(self, unit: int) -> Flags:
        """Receivers (as rows) on which the unit fits and breaks no rule; its present host is not one."""
        problem = self.problem
        fits = problem.holds(self.free >= problem.need[unit][:, None])
        fits &= self.allowed[problem.group[unit]]
        fits &= ~self.is_closed
        row = self.row_of[self.assignment[unit]] if self.assignment[unit] >= 0 else -1
        if row >= 0:
            fits[row] = False
        rules = problem.rules
        for position in range(rules.of_unit_start[unit], rules.of_unit_start[unit + 1]):
            fits &= ~self._forbidden(unit, int(rules.of_unit[position]))
        return fits

    def broken_rules(self, unit: int, host: int) -> list[int]:
        """Rules that the unit would break on that receiver."""
        rules, row = self.problem.rules, self.row_of[host]
        own = rules.of_unit[rules.of_unit_start[unit] : rules.of_unit_start[unit + 1]]
        return [int(rule) for rule in own if self._forbidden(unit, int(rule))[row]]

    def best_fit(self, unit: int, among: Flags | None = None) -> int:
        """The fullest host (of the receivers in `among`) on which the unit fits, or -1. Ties go to the first host."""
        fits = self.candidates(unit)
        if among is not None:
            fits &= among
        if not fits.any():
            return -1
        return int(self.receivers[np.where(fits, self.slack, np.inf).argmin()])

    def aligned_fit(self, unit: int) -> int:
        """The host whose free room points most the way the unit's need does, or -1.

        The dot product of need and room, each dimension in shares of a typical host, keeps the dimensions
        in step, so that no host is left with memory and no CPU. Source: Panigrahy, Talwar, Uyeda, Wieder,
        "Heuristics for vector bin packing", 2011.
        """
        fits = self.candidates(unit)
        if not fits.any():
            return -1
        score = (self.problem.need[unit] * self.problem.alignment) @ self.free
        return int(self.receivers[np.where(fits, score, -np.inf).argmax()])

    def worst_fit(self, unit: int) -> int:
        """The host that has most left of what it has least after taking the unit, or -1: for spreading."""
        fits = self.candidates(unit)
        if not fits.any():
            return -1
        limits = self.problem.limits[self.receivers].T
        left = ((self.free - self.problem.need[unit][:, None]) / limits).min(axis=0, initial=1.0)
        return int(self.receivers[np.where(fits, left, -np.inf).argmax()])

    def move(self, unit: int, host: int) -> None:
        """Puts the unit on that host, without asking."""
        need, weight = self.problem.need[unit], self.weight[unit]
        old = self.assignment[unit]
        if old >= 0 and self.row_of[old] >= 0:
            self.free[:, self.row_of[old]] += need
            self.slack[self.row_of[old]] += weight
        if host >= 0 and self.row_of[host] >= 0:
            self.free[:, self.row_of[host]] -= need
            self.slack[self.row_of[host]] -= weight
        self.assignment[unit] = host

    def close(self, host: int) -> None:
        """From now on the host receives nothing."""
        if self.row_of[host] >= 0:
            self.is_closed[self.row_of[host]] = True

    def reopen(self, host: int) -> None:
        if self.row_of[host] >= 0:
            self.is_closed[self.row_of[host]] = False

    def try_empty(self, host: int, units: Ints) -> bool:
        """Moves these units (all that are on the host, largest first) elsewhere, all of them or none."""
        was_closed = self.row_of[host] >= 0 and bool(self.is_closed[self.row_of[host]])
        self.close(host)
        done: list[int] = []
        for unit in units:
            target = self.best_fit(int(unit))
            if target < 0:
                for moved in reversed(done):
                    self.move(moved, host)
                if not was_closed:
                    self.reopen(host)
                return False
            self.move(int(unit), target)
            done.append(int(unit))
        return True

    def _forbidden(self, unit: int, rule: int) -> Flags:
        """Receivers on which the unit would break the rule."""
        rules = self.problem.rules
        members = rules.members[rules.member_start[rule] : rules.member_start[rule + 1]]
        domain = rules.domain[rules.scope[rule]]
        own = self.assignment[unit]
        others = self.assignment[members[members != unit]]
        taken = domain[others[others >= 0]]
        there = domain[self.receivers]
        if rules.least[rule] == 0:  # apart; staying in one's own domain breaks nothing new
            forbidden = np.isin(there, taken)
            if own >= 0:
                forbidden &= there != domain[own]
            return forbidden
        distinct = np.unique(taken)
        after = len(distinct) + ~np.isin(there, distinct)
        return after < rules.least[rule]
