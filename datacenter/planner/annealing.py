"""Simulated annealing over machine reassignments: one process moves, or two trade places.

A proposal is checked in the order of what it costs to check: room, a service already there, the price, and last
the rules that look at whole services. Every rule holds in every state that the search passes through.

Source: Ritt and others, "A simulated annealing algorithm for the machine reassignment problem", Journal of
Heuristics 21 (2015), for the two moves and for cooling by time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .problem import Ints

Whole = int | np.int64  # compiled functions pass both
Randoms = NDArray[np.uint64]


NEAR = 20  # a process swaps with one at most a twentieth of those tried away in size


class State(NamedTuple):
    """The fixed numbers (first) and what an assignment makes of them (from `assignment` on)."""

    capacity: Any
    soft_limit: Any
    soft_weight: Any
    held_twice: Any
    site: Any
    neighbourhood: Any
    need: Any
    service: Any
    least_sites: Any
    needs_start: Any
    needs: Any
    needed_start: Any
    needed: Any
    balance: Any
    move_cost: Any
    pair_cost: Any
    service_weight: Any
    home: Any
    by_size: Any  # processes, smallest first by `soft_weight`
    held_size: Any  # process -> weighted size of what it holds on its home while it is away
    assignment: Any
    use: Any  # [machines x resources]
    held: Any  # [machines x resources]: use, and what moves hold on their source
    machine_cost: Any
    on_machine: Any  # [services x machines]: how many of its processes
    on_site: Any
    sites: Any  # service -> sites it is on
    near: Any  # [services x neighbourhoods]
    moved: Any  # service -> processes away from home
    moved_count: Any  # how many services have so many away
    most: Any  # one number: the most away within one service


@njit(cache=True, nogil=True)
def machine_cost(s: State, machine: Whole, use: Ints) -> Whole:
    """What that use of the machine costs: above soft limits, and out of balance."""
    cost = 0
    for r in range(use.shape[0]):
        over = use[r] - s.soft_limit[machine, r]
        if over > 0:
            cost += s.soft_weight[r] * over
    for b in range(s.balance.shape[0]):
        one, other = s.balance[b, 0], s.balance[b, 1]
        lacks = s.balance[b, 2] * (s.capacity[machine, one] - use[one]) - (s.capacity[machine, other] - use[other])
        if lacks > 0:
            cost += s.balance[b, 3] * lacks
    return cost


@njit(cache=True, nogil=True)
def _away(s: State, process: Whole, machine: Whole) -> Whole:
    """What the process costs for being there and not at home, its service's count aside."""
    home = s.home[process]
    return 0 if machine == home else s.move_cost[process] + s.pair_cost[home, machine]


@njit(cache=True, nogil=True)
def _most_moved(s: State, one: Whole, one_by: Whole, other: Whole, other_by: Whole) -> Whole:
    """The most moves within one service once two services' counts change; -1 for no second service."""
    _recount(s, one, one_by, 1)
    result = max(s.most[0], s.moved[one] + one_by)
    if other >= 0:
        _recount(s, other, other_by, 1)
        result = max(result, s.moved[other] + other_by)
    while result > 0 and s.moved_count[result] == 0:
        result -= 1
    _recount(s, one, one_by, -1)
    if other >= 0:
        _recount(s, other, other_by, -1)
    return result


@njit(cache=True, nogil=True)
def _recount(s: State, service: Whole, by: Whole, sign: Whole) -> None:
    s.moved_count[s.moved[service]] -= sign
    s.moved_count[s.moved[service] + by] += sign


@njit(cache=True, nogil=True)
def _count(s: State, process: Whole, source: Whole, target: Whole) -> None:
    """Books a move in what is known of the service; room and cost are booked apart."""
    service = s.service[process]
    s.on_machine[service, source] -= 1
    s.on_machine[service, target] += 1
    here, there = s.site[source], s.site[target]
    if here != there:
        s.on_site[service, here] -= 1
        s.sites[service] -= s.on_site[service, here] == 0
        s.sites[service] += s.on_site[service, there] == 0
        s.on_site[service, there] += 1
    s.near[service, s.neighbourhood[source]] -= 1
    s.near[service, s.neighbourhood[target]] += 1


@njit(cache=True, nogil=True)
def _holds(s: State, service: Whole, left: Whole, entered: Whole) -> bool:
    """Whether the service's sites and its dependencies both ways hold after a move between neighbourhoods."""
    if s.sites[service] < s.least_sites[service]:
        return False
    if left == entered:
        return True
    for i in range(s.needs_start[service], s.needs_start[service + 1]):
        if s.near[s.needs[i], entered] == 0:
            return False
    if s.near[service, left] == 0:
        for i in range(s.needed_start[service], s.needed_start[service + 1]):
            if s.near[s.needed[i], left] > 0:
                return False
    return True


@njit(cache=True, nogil=True)
def _has_room(s: State, machine: Whole, arriving: Whole, leaving: Whole) -> bool:
    """Whether the machine can hold the arriving process once the leaving one (-1: none) is gone."""
    comes_home = s.home[arriving] == machine
    goes_from_home = leaving >= 0 and s.home[leaving] == machine
    for r in range(s.need.shape[1]):
        room = s.capacity[machine, r] - s.held[machine, r]
        if not (comes_home and s.held_twice[r]):
            room -= s.need[arriving, r]
        if leaving >= 0 and not (goes_from_home and s.held_twice[r]):
            room += s.need[leaving, r]
        if room < 0:
            return False
    return True


@njit(cache=True, nogil=True)
def _carry(s: State, process: Whole, machine: Whole, sign: Whole) -> None:
    """Books a process in or out of a machine's room."""
    at_home = s.home[process] == machine
    for r in range(s.need.shape[1]):
        s.use[machine, r] += sign * s.need[process, r]
        if not (at_home and s.held_twice[r]):
            s.held[machine, r] += sign * s.need[process, r]


@njit(cache=True, nogil=True)
def _changed_cost(s: State, machine: Whole, arriving: Whole, leaving: Whole, use: Ints) -> Whole:
    """The machine's cost with one process more and one less (-1: none); `use` is scratch."""
    for r in range(use.shape[0]):
        use[r] = s.use[machine, r]
        if arriving >= 0:
            use[r] += s.need[arriving, r]
        if leaving >= 0:
            use[r] -= s.need[leaving, r]
    return machine_cost(s, machine, use)


@njit(cache=True, nogil=True)
def _next(random: Randoms) -> np.uint64:
    """A number of 64 random bits (xorshift64*)."""
    x = random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    random[0] = x
    return x * np.uint64(2685821657736338717)


@njit(cache=True, nogil=True)
def _below(random: Randoms, limit: Whole) -> Whole:
    return np.int64(((_next(random) >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _chance(random: Randoms) -> float:
    return np.float64(_next(random) >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True)
def _rise(random: Randoms, temperature: float) -> float:
    """The highest rise in cost that is accepted now."""
    return -temperature * np.log(_chance(random) + 1e-300) if temperature > 0 else 0.0


@njit(cache=True, nogil=True)
def _book(s: State, process: Whole, source: Whole, target: Whole, by: Whole) -> None:
    """Moves the process in everything but the counts of its service, which `_count` has."""
    _carry(s, process, source, -1)
    _carry(s, process, target, 1)
    s.assignment[process] = target
    service = s.service[process]
    s.moved_count[s.moved[service]] -= 1
    s.moved[service] += by
    s.moved_count[s.moved[service]] += 1


@njit(cache=True, nogil=True)
def _try_shift(
    s: State, p: Whole, b: Whole, random: Randoms, temperature: float, hold_price: float, use: Ints, other_use: Ints
) -> Whole:
    """Moves process `p` to machine `b` if rules and temperature allow; the change in cost, 0 if not moved."""
    a, service = s.assignment[p], s.service[p]
    if a == b or s.on_machine[service, b] > 0 or not _has_room(s, b, p, -1):
        return 0
    cost_a, cost_b = _changed_cost(s, a, -1, p, use), _changed_cost(s, b, p, -1, other_use)
    change = cost_a + cost_b - s.machine_cost[a] - s.machine_cost[b] + _away(s, p, b) - _away(s, p, a)
    by = np.int64(b != s.home[p]) - np.int64(a != s.home[p])
    most = s.most[0]
    if by != 0:
        most = _most_moved(s, service, by, -1, 0)
        change += s.service_weight[0] * (most - s.most[0])
    worse = change + hold_price * by * s.held_size[p]
    if worse > 0 and worse > _rise(random, temperature):
        return 0
    _count(s, p, a, b)
    if not _holds(s, service, s.neighbourhood[a], s.neighbourhood[b]):
        _count(s, p, b, a)
        return 0
    _book(s, p, a, b, by)
    s.machine_cost[a], s.machine_cost[b], s.most[0] = cost_a, cost_b, most
    return change


@njit(cache=True, nogil=True)
def _try_swap(
    s: State, p: Whole, q: Whole, random: Randoms, temperature: float, hold_price: float, use: Ints, other_use: Ints
) -> Whole:
    """Trades the places of two processes if rules and temperature allow; the change in cost."""
    a, b, one, other = s.assignment[p], s.assignment[q], s.service[p], s.service[q]
    if a == b or (one != other and (s.on_machine[one, b] > 0 or s.on_machine[other, a] > 0)):
        return 0
    if not _has_room(s, b, p, q) or not _has_room(s, a, q, p):
        return 0
    cost_a, cost_b = _changed_cost(s, a, q, p, use), _changed_cost(s, b, p, q, other_use)
    change = cost_a + cost_b - s.machine_cost[a] - s.machine_cost[b]
    change += _away(s, p, b) - _away(s, p, a) + _away(s, q, a) - _away(s, q, b)
    by = np.int64(b != s.home[p]) - np.int64(a != s.home[p])
    other_by = np.int64(a != s.home[q]) - np.int64(b != s.home[q])
    most = s.most[0]
    if by != 0 or other_by != 0:
        most = _most_moved(s, one, by + other_by, -1, 0) if one == other else _most_moved(s, one, by, other, other_by)
        change += s.service_weight[0] * (most - s.most[0])
    worse = change + hold_price * (by * s.held_size[p] + other_by * s.held_size[q])
    if worse > 0 and worse > _rise(random, temperature):
        return 0
    _count(s, p, a, b)
    _count(s, q, b, a)
    left, entered = s.neighbourhood[a], s.neighbourhood[b]
    if not (_holds(s, one, left, entered) and _holds(s, other, entered, left)):
        _count(s, q, a, b)
        _count(s, p, b, a)
        return 0
    _book(s, p, a, b, by)
    _book(s, q, b, a, other_by)
    s.machine_cost[a], s.machine_cost[b], s.most[0] = cost_a, cost_b, most
    return change


@njit(cache=True, nogil=True)
def anneal(s: State, temperature: float, hold_price: float, steps: Whole, random: Randoms, smallest: Whole) -> Whole:
    """So many proposals at one temperature; the change in cost.

    Only processes from the rank `smallest` on are tried: at a high temperature small ones would but wander. Half
    of the proposals are swaps, with a process of about the same size: others seldom fit. Leaving home is taken for
    dearer than it is by `hold_price` times what the process goes on holding there.
    """
    processes, machines = s.need.shape[0], s.capacity.shape[0]
    tried = processes - smallest
    reach = max(5, tried // NEAR)
    use, other_use = np.zeros(s.need.shape[1], np.int64), np.zeros(s.need.shape[1], np.int64)
    total: Whole = 0
    for _ in range(steps):
        rank = _below(random, tried)
        p = s.by_size[smallest + rank]
        if _next(random) >> np.uint64(63):
            # What is away from home may hold room there too that others need: one in eight is sent back.
            target = s.home[p] if _below(random, 8) == 0 else _below(random, machines)
            total += _try_shift(s, p, target, random, temperature, hold_price, use, other_use)
        else:
            other = (rank + _below(random, 2 * reach + 1) - reach) % tried
            q = s.by_size[smallest + other]
            total += _try_swap(s, p, q, random, temperature, hold_price, use, other_use)
    return total


def state_of(model: Any, assignment: Any) -> State:
    """The books for that assignment, which they keep their own copy of."""
    machines, resources = model.capacity.shape
    services = len(model.least_sites)
    assignment = assignment.copy()
    use = np.zeros((machines, resources), np.int64)
    np.add.at(use, assignment, model.need)
    away = assignment != model.home
    held = use.copy()
    np.add.at(held, model.home[away], model.need[away] * model.held_twice)
    on_machine = np.zeros((services, machines), np.int16)
    np.add.at(on_machine, (model.service, assignment), 1)
    on_site = np.zeros((services, int(model.site.max()) + 1), np.int16)
    np.add.at(on_site, (model.service, model.site[assignment]), 1)
    near = np.zeros((services, int(model.neighbourhood.max()) + 1), np.int32)
    np.add.at(near, (model.service, model.neighbourhood[assignment]), 1)
    moved = np.bincount(model.service[away], minlength=services)
    largest = int(np.bincount(model.service, minlength=services).max())
    by_size = np.argsort(weighted_size(model), kind="stable")
    needed_start, needed = _reversed(model.depends_on.start, model.depends_on.items, services)
    state = State(
        model.capacity,
        model.soft_limit,
        model.soft_weight,
        model.held_twice,
        model.site,
        model.neighbourhood,
        model.need,
        model.service,
        model.least_sites,
        model.depends_on.start,
        model.depends_on.items,
        needed_start,
        needed,
        model.balance,
        model.move_cost,
        model.pair_cost,
        model.service_weight,
        model.home,
        by_size,
        (model.need * model.held_twice) @ model.soft_weight,
        assignment,
        use,
        held,
        np.zeros(machines, np.int64),
        on_machine,
        on_site,
        (on_site > 0).sum(axis=1),
        near,
        moved,
        np.bincount(moved, minlength=largest + 2),
        np.array([moved.max()]),
    )
    for machine in range(machines):
        state.machine_cost[machine] = machine_cost(state, machine, use[machine])
    return state


def weighted_size(model: Any) -> Ints:
    """What each process costs where it lies wholly above the soft limits: how much a move of it can change."""
    return model.need @ model.soft_weight


def total_cost(s: State) -> int:
    """The weighted cost of the state's assignment."""
    away = s.assignment != s.home
    moves = s.move_cost[away].sum() + s.pair_cost[s.home[away], s.assignment[away]].sum()
    return int(s.machine_cost.sum() + moves + s.service_weight[0] * s.most[0])


def _reversed(start: Any, items: Any, count: Whole) -> tuple[Any, Any]:
    """Rows turned round: item -> the rows that hold it."""
    rows = np.repeat(np.arange(count), np.diff(start))
    order = np.argsort(items, kind="stable")
    return np.searchsorted(items[order], np.arange(count + 1)), rows[order]
