"""Machine reassignment: the cheapest placement by weights, from the present one, under hard rules.

Where consolidation asks for the fewest hosts, this asks for the least weighted cost: use above a soft limit, two
resources out of step (free CPU that no free memory goes with), and the price of every move. Hard rules hold all
along: capacity, with a resource held on source and target while a move lasts; members of a service apart, on
enough sites, and near what they depend on.

Source of the model: Google ROADEF/EURO challenge 2012, problem definition version 1.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .annealing import anneal, state_of, total_cost, weighted_size
from .problem import Flags, Ints

ROUND = 50_000  # proposals between two looks at how much of the budget is spent
HOT, WARM, COLD = 0.5, 5e-3, 5e-5  # first, middle and last temperature, in mean sizes of a process
SETTLED, FROZEN = 0.9, 0.97  # shares of the budget at which it is warm, and from which only gains are taken
HOLD_PRICE = 0.2  # what holding room on the source counts, of the cost of as much use above the soft limit
HOLD_FREE = 0.95  # share of the budget from which it counts nothing, as in the real cost
SMALL = 0.2  # of the temperature: smaller processes are left alone until it falls


class Rows(NamedTuple):
    """Lists of different length: row i is `items[start[i]:start[i + 1]]`."""

    start: Ints
    items: Ints


@dataclass(frozen=True, eq=False)
class Reassignment:
    """Machines in rows of `capacity`, processes in rows of `need`; costs in one unit, whole numbers throughout."""

    capacity: Ints  # [machines x resources]
    soft_limit: Ints  # [machines x resources]: use above it costs `soft_weight`
    soft_weight: Ints  # [resources]
    held_twice: Flags  # [resources]: counts on source and target
    site: Ints  # machine -> site, for `least_sites`
    neighbourhood: Ints  # machine -> neighbourhood, for `depends_on`
    need: Ints  # [processes x resources]
    service: Ints  # process -> service
    least_sites: Ints  # service -> sites it must be on
    depends_on: Rows  # service -> services that must be in every neighbourhood it is in
    balance: Ints  # [targets x 4]: resource, other resource, wanted free of other for each free one, weight
    move_cost: Ints  # process -> cost of moving it, weighted
    pair_cost: Ints  # [machines x machines]: cost of a move from the row to the column, weighted
    service_weight: Ints  # one number: weight of the most moves within one service
    home: Ints  # process -> machine


def reassign(
    model: Reassignment, spent: Callable[[], float], seed: int = 1, threads: int = 1, first: Ints | None = None
) -> Ints:
    """Machine of every process, the cheapest found when `spent` (share of the budget so far) reached 1.

    Anneals on each thread from its own seed; `spent` sets the temperature too, and is called from all threads.
    """
    start = model.home if first is None else first
    with ThreadPoolExecutor(threads) as pool:
        chains = [pool.submit(_chain, model, start, spent, seed * 1_000 + number) for number in range(threads)]
        return min((chain.result() for chain in chains), key=lambda found: found[0])[1]


def _chain(model: Reassignment, start: Ints, spent: Callable[[], float], seed: int) -> tuple[int, Ints]:
    """The cost and the assignment that one thread ends with."""
    state = state_of(model, start)
    sizes = np.sort(weighted_size(model))
    random = np.array([seed * 2 + 1], dtype=np.uint64) * np.uint64(11400714819323198485)
    cost = total_cost(state)
    best, best_cost = state.assignment.copy(), cost
    while (share := spent()) < 1:
        temperature = float(sizes.mean()) * _warmth(share)
        hold_price = HOLD_PRICE if share < HOLD_FREE else 0.0
        smallest = min(int(np.searchsorted(sizes, SMALL * temperature)), len(sizes) * 9 // 10)
        cost += int(anneal(state, temperature, hold_price, ROUND, random, smallest))
        if cost < best_cost:
            best, best_cost = state.assignment.copy(), cost
    return best_cost, best


def _warmth(share: float) -> float:
    """The temperature at that share of the budget: slowly to warm, where most is won, then quickly to cold."""
    if share < SETTLED:
        return HOT * (WARM / HOT) ** (share / SETTLED)
    if share < FROZEN:
        return WARM * (COLD / WARM) ** ((share - SETTLED) / (FROZEN - SETTLED))
    return 0.0
