"""Fewest bins when few items share one: a bin's content is a pattern, and a linear program chooses patterns.

The program starts with the patterns of a packing that is known and is given better ones until none is left that
its prices would pay for. A dive then takes the pattern that the program wants most, asks for patterns that suit
what is left, and so on until every item is in. Where the bound leaves no waste at all, every pattern must be
full: those are few, and are all written down instead.

Source: Gilmore and Gomory, "A linear programming approach to the cutting-stock problem", Operations Research 9
(1961); diving as in Sadykov and others, "Primal heuristics for branch and price", INFORMS Journal on Computing
31 (2019).
"""

from __future__ import annotations

from collections.abc import Callable

import highspy
import numpy as np
from numba import njit

from .problem import Floats, Ints

MOST = 12  # items in a pattern
LOOK = 2_000  # steps of the search for the best pattern that starts with one given item
LONG_LOOK = 4_000_000  # the same for all items together, where a proof is asked for
SMALL = 1e-7
MOST_ROUNDS = 1_000  # of pricing before a dive
STALL, STALLED = 15, 2e-4  # rounds after which the value must have fallen by that share
TOGETHER = 60  # items for each pattern that a step of a dive takes
MOST_FULL = 50_000  # patterns without waste that are written down at most
FEW = 1_000  # patterns among which an exact cover is sought at once


class Patterns:
    """The linear program: one row for each item (in at least one bin), one column for each pattern."""

    def __init__(self, sizes: Floats) -> None:
        self.sizes = sizes
        self.columns: list[Ints] = []
        self.known: set[tuple[int, ...]] = set()
        self.covered = np.zeros(len(sizes), dtype=bool)
        self.program = highspy.Highs()
        self.program.silent()
        # Primal simplex (4): new columns and freed rows leave the last answer feasible.
        for option, value in (("threads", 1), ("presolve", "off"), ("simplex_strategy", 4)):
            self.program.setOptionValue(option, value)
        for _ in range(len(sizes)):
            self.program.addRow(1.0, highspy.kHighsInf, 0, np.zeros(0, np.int32), np.zeros(0))

    def add(self, items: Ints) -> bool:
        """Takes the pattern in, unless it is known."""
        key = tuple(sorted(int(item) for item in items))
        if key in self.known:
            return False
        self.known.add(key)
        self.columns.append(np.array(key, dtype=np.int64))
        self.program.addCol(1.0, 0.0, highspy.kHighsInf, len(key), np.array(key, np.int32), np.ones(len(key)))
        return True

    def take(self, column: int) -> None:
        """The pattern becomes a bin: its items ask for no other."""
        for item in self.columns[column]:
            self.covered[item] = True
            self.program.changeRowBounds(int(item), 0.0, highspy.kHighsInf)

    def forget_taken(self) -> None:
        for item in np.flatnonzero(self.covered):
            self.program.changeRowBounds(int(item), 1.0, highspy.kHighsInf)
        self.covered[:] = False

    def solve(self) -> tuple[float, Floats, Floats]:
        """Bins that the program needs for the items left, the share of every pattern, and the items' prices."""
        self.program.run()
        solution = self.program.getSolution()
        value = float(self.program.getInfo().objective_function_value)
        return value, np.array(solution.col_value), np.maximum(np.array(solution.row_dual), 0.0)

    def improve(self, rounds: int, is_over: Callable[[], bool], longest: int = LOOK) -> tuple[float, Floats, bool]:
        """Solves and adds patterns in turn; with the last answer, whether it is proved that no better one exists.

        Ends early where the value has all but stopped falling: diving asks for the patterns that it needs.
        """
        look, before = LOOK, np.inf
        for number in range(1, rounds + 1):
            value, shares, prices = self.solve()
            if is_over():
                break
            found, was_complete = best_patterns(self.sizes, prices, look)
            if not sum(self.add(pattern[pattern >= 0]) for pattern in found):
                if was_complete or look >= longest:
                    return value, shares, was_complete
                look *= 10
            if number % STALL == 0:
                if value > before * (1 - STALLED):
                    break
                before = value
        return value, shares, False


def pack_by_patterns(
    sizes: Floats, known: Ints, least: int, most_dives: int, is_over: Callable[[], bool], seed: int = 1
) -> tuple[Ints, int]:
    """A packing of items (sizes as shares of a bin) in fewer bins than the known one, or that; a bound on bins.

    `least` is a bound that holds already; the answer's is as high or higher.
    """
    full = _full_patterns(sizes, least)
    if full and (cover := _exact_cover(len(sizes), full)) is not None:
        return cover, least
    patterns = Patterns(sizes)
    for items in [*full, *(np.flatnonzero(known == bin_) for bin_ in range(int(known.max()) + 1))]:
        patterns.add(items)
    random, best, dives = np.random.default_rng(seed), known, 0
    while int(best.max()) + 1 > least and dives < most_dives and not is_over():
        longest = LONG_LOOK // len(sizes) if dives else LOOK  # a proof is worth its time once a dive fell short
        value, _, is_proved = patterns.improve(MOST_ROUNDS, is_over, longest)
        if is_proved:
            least = max(least, int(np.ceil(value - 1e-5)))
        if int(best.max()) + 1 > least:
            found = _dive(patterns, int(best.max()) + 1, random if dives else None, is_over)
            best = found if found is not None and found.max() < best.max() else best
            patterns.forget_taken()
            dives += 1
    return best, least


def _dive(
    patterns: Patterns, bins: int, random: np.random.Generator | None, is_over: Callable[[], bool]
) -> Ints | None:
    """Takes pattern after pattern; None in a random dive that can't give fewer than `bins`."""
    assignment = np.full(len(patterns.sizes), -1, dtype=np.int64)
    taken = 0
    while (assignment < 0).any() and not is_over():
        value, shares, _ = patterns.improve(3, is_over)
        if random is not None and taken + np.ceil(value - 1e-5) >= bins:
            return None
        for column in _wanted(patterns, shares, random):
            items = patterns.columns[column]
            assignment[items[assignment[items] < 0]] = taken
            patterns.take(column)
            taken += 1
    return _completed(patterns.sizes, assignment, taken)


def _wanted(patterns: Patterns, shares: Floats, random: np.random.Generator | None) -> list[int]:
    """The patterns to take now: all that the program takes whole, else some that it takes most of."""
    whole = np.flatnonzero(shares > 1 - 1e-6)
    if len(whole):
        return [int(column) for column in whole]
    blur = 1.0 if random is None else random.uniform(0.7, 1.0, len(shares))
    order = np.argsort(-shares * blur)
    chosen: list[int] = []
    taken = patterns.covered.copy()
    for column in order[: 1 + int((~taken).sum()) // TOGETHER]:
        items = patterns.columns[column]
        if not chosen or not taken[items].any():
            chosen.append(int(column))
            taken[items] = True
    return chosen


def _completed(sizes: Floats, assignment: Ints, bins: int) -> Ints:
    """Items without a bin go, largest first, where they leave least room, or into new bins."""
    load = np.zeros((len(sizes), sizes.shape[1]))
    placed = assignment >= 0
    np.add.at(load, assignment[placed], sizes[placed])
    for item in sorted(np.flatnonzero(~placed), key=lambda item: -sizes[item].sum()):
        fits = (load[:bins] + sizes[item] <= 1 + 1e-9).all(axis=1)
        bins += not fits.any()
        assignment[item] = np.where(fits, load[: len(fits)].sum(axis=1), -1).argmax() if fits.any() else bins - 1
        load[assignment[item]] += sizes[item]
    return assignment


def best_patterns(sizes: Floats, prices: Floats, look: int) -> tuple[Ints, bool]:
    """By item the dearest pattern that starts with it, if dearer than a bin (-1 fills up); whether all were seen."""
    weight = np.maximum(sizes @ (sizes.sum(axis=0) / sizes.sum()), 1e-9)
    worth = np.flatnonzero(prices > SMALL)
    order = worth[np.argsort(-prices[worth] / weight[worth], kind="stable")]
    debt = np.maximum(0.0, -sizes.min(axis=0))
    found, was_complete = _search(sizes[order], prices[order], weight[order], debt, look)
    return np.where(found >= 0, np.append(order, -1)[found], -1), was_complete


@njit(cache=True)
def _search(sizes: Floats, prices: Floats, weight: Floats, debt: Floats, look: int) -> tuple[Ints, bool]:
    """Depth first from every item over the later ones, which bring less for their weight.

    `debt` is what one item may give back in each dimension (sizes below zero occur in published instances).
    """
    count, width = sizes.shape
    found = np.full((count, MOST), -1, dtype=np.int64)
    lines, was_complete = 0, True
    chosen = np.zeros(MOST, dtype=np.int64)
    room = np.ones((MOST + 1, width))
    value, left = np.zeros(MOST + 1), np.ones(MOST + 1)
    for first in range(count):
        if prices[first] / weight[first] <= 1.0:
            break
        best, steps, depth, item = 1.0 + SMALL, 0, 0, first
        better = False
        while True:
            fits, rich = False, False
            if item < count and depth < MOST:
                rich = value[depth] + max(left[depth], 0.0) * prices[item] / weight[item] > best
            was_complete &= not (rich and steps >= look) and depth < MOST
            if rich and steps < look:
                steps += 1
                fits = True
                for k in range(width):
                    if room[depth, k] + debt[k] < sizes[item, k] - 1e-9:
                        fits = False
                        break
                if not fits:
                    item += 1
                    continue
                valid = True
                for k in range(width):
                    room[depth + 1, k] = room[depth, k] - sizes[item, k]
                    valid &= room[depth + 1, k] >= -1e-9
                value[depth + 1] = value[depth] + prices[item]
                left[depth + 1] = left[depth] - weight[item]
                chosen[depth] = item
                depth += 1
                if valid and value[depth] > best:
                    best, better = value[depth], True
                    found[lines, :] = -1
                    found[lines, :depth] = chosen[:depth]
                item += 1
                continue
            if depth <= 1:  # the first item stays
                break
            depth -= 1
            item = chosen[depth] + 1
        lines += better
    return found[:lines], was_complete


def _full_patterns(sizes: Floats, least: int) -> list[Ints]:
    """Every pair or triple that fills a bin to the brim, if `least` bins leave no waste; else none."""
    if np.abs(sizes.sum(axis=0) - least).max() > 1e-6:
        return []
    order = np.argsort(sizes[:, 0], kind="stable")
    found, count = _brimful(sizes[order], MOST_FULL)
    return [np.sort(order[row[row >= 0]]) for row in found[:count]] if count < MOST_FULL else []


@njit(cache=True)
def _brimful(sizes: Floats, most: int) -> tuple[Ints, int]:
    """Triples that fill every dimension; items in the order of the first dimension."""
    count, width = sizes.shape
    found = np.full((most, 3), -1, dtype=np.int64)
    lines = 0
    column = sizes[:, 0].copy()
    for a in range(count):
        for b in range(a + 1, count):
            rest = 1.0 - sizes[a, 0] - sizes[b, 0]
            c = max(b + 1, np.searchsorted(column, rest - 1e-7))
            while c < count and column[c] <= rest + 1e-7:
                full = True
                for k in range(width):
                    if abs(sizes[a, k] + sizes[b, k] + sizes[c, k] - 1.0) > 1e-7:
                        full = False
                        break
                if full and lines < most:
                    found[lines, 0], found[lines, 1], found[lines, 2] = a, b, c
                    lines += 1
                c += 1
    return found, lines


def _exact_cover(count: int, patterns: list[Ints]) -> Ints | None:
    """A packing from patterns that hold every item once; None when there is none, or they are many."""
    if len(patterns) > FEW:
        return None
    solver = highspy.Highs()
    solver.silent()
    for option, value in (("threads", 1), ("mip_max_nodes", 1_000)):
        solver.setOptionValue(option, value)
    for _ in range(count):
        solver.addRow(1.0, 1.0, 0, np.zeros(0, np.int32), np.zeros(0))
    for number, items in enumerate(patterns):
        solver.addCol(1.0, 0.0, 1.0, len(items), items.astype(np.int32), np.ones(len(items)))
        solver.changeColIntegrality(number, highspy.HighsVarType.kInteger)
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    assignment = np.full(count, -1, dtype=np.int64)
    for bin_, column in enumerate(np.flatnonzero(np.array(solver.getSolution().col_value) > 0.5)):
        assignment[patterns[int(column)]] = bin_
    return assignment if (assignment >= 0).all() else None
