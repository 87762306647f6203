"""The machine reassignment challenge's files, and its published objective computed from the plain input.

Shares no code with the search. Source: ROADEF/EURO challenge 2012, problem definition version 1.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass

import numpy as np

from datacenter.planner.reassignment import Reassignment, Rows

from .clusters import DATA

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Instance:
    """The numbers of a model file, and the assignment that it starts from."""

    is_transient: Array
    weight: Array
    neighbourhood: Array
    location: Array
    capacity: Array
    safety: Array
    move_costs: Array
    least_spread: Array
    dependencies: list[list[int]]
    service: Array
    requirement: Array
    process_cost: Array
    balance: Array
    weights: tuple[int, int, int]  # process, service, machine move
    start: Array


class _Numbers:
    def __init__(self, name: str) -> None:
        self.left = np.array(_text(f"model_{name}").split(), dtype=np.int64)

    def take(self, rows: int, columns: int) -> Array:
        taken, self.left = self.left[: rows * columns], self.left[rows * columns :]
        return taken.reshape(rows, columns)

    def one(self) -> int:
        return int(self.take(1, 1)[0, 0])


def read(name: str) -> Instance:
    """The instance of that name (a1_1 ... b_09)."""
    numbers = _Numbers(name)
    resources = numbers.take(width := numbers.one(), 2)
    count = numbers.one()
    machines = numbers.take(count, 2 + 2 * width + count)
    least, dependencies = [], []
    for _ in range(numbers.one()):
        spread, needs = numbers.take(1, 2)[0]
        least.append(int(spread))
        dependencies.append([int(service) for service in numbers.take(int(needs), 1)[:, 0]])
    processes = numbers.take(numbers.one(), 2 + width)
    balance = numbers.take(numbers.one(), 4)
    weights = tuple(int(weight) for weight in numbers.take(1, 3)[0])
    return Instance(
        resources[:, 0] > 0,
        resources[:, 1].copy(),
        *(machines[:, column].copy() for column in (0, 1)),
        machines[:, 2 : 2 + width].copy(),
        machines[:, 2 + width : 2 + 2 * width].copy(),
        machines[:, 2 + 2 * width :].copy(),
        np.array(least),
        dependencies,
        processes[:, 0].copy(),
        processes[:, 1 : 1 + width].copy(),
        processes[:, 1 + width].copy(),
        balance,
        (weights[0], weights[1], weights[2]),
        np.array(_text(f"assignment_{name}").split(), dtype=np.int64),
    )


def _text(name: str) -> str:
    with lzma.open(DATA / "roadef2012" / f"{name}.txt.xz", "rt") as file:
        return file.read()


def model_of(instance: Instance) -> Reassignment:
    """The instance as the planner takes it."""
    start = np.cumsum([0, *map(len, instance.dependencies)])
    items = np.array([needed for needs in instance.dependencies for needed in needs], dtype=np.int64)
    process, service, machine = instance.weights
    return Reassignment(
        instance.capacity, instance.safety, instance.weight, instance.is_transient, instance.location,
        instance.neighbourhood, instance.requirement, instance.service, instance.least_spread, Rows(start, items),
        instance.balance, process * instance.process_cost, machine * instance.move_costs, np.array([service]),
        instance.start,
    )  # fmt: skip


def violations(instance: Instance, found: Array) -> int:
    """How many hard rules an assignment breaks, of each kind counted by machine or service."""
    pairs = set(zip(instance.service.tolist(), found.tolist(), strict=True))
    broken = len(found) - len(pairs)
    load, held = _load(instance, found), _load(instance, found)
    moved = found != instance.start
    np.add.at(held, instance.start[moved], instance.requirement[moved] * instance.is_transient)
    broken += int((held > instance.capacity).any(axis=1).sum()) + int((load > instance.capacity).any(axis=1).sum())
    locations, near = _places(instance, found, instance.location), _places(instance, found, instance.neighbourhood)
    broken += sum(len(locations.get(service, ())) < least for service, least in enumerate(instance.least_spread))
    for service, needs in enumerate(instance.dependencies):
        broken += sum(not near.get(service, set()) <= near.get(needed, set()) for needed in needs)
    return broken


def cost(instance: Instance, found: Array) -> int:
    """The published objective."""
    load = _load(instance, found)
    total = int((np.maximum(0, load - instance.safety) * instance.weight).sum())
    free = instance.capacity - load
    for one, other, target, weight in instance.balance:
        total += int(weight) * int(np.maximum(0, target * free[:, one] - free[:, other]).sum())
    moved = found != instance.start
    process, service, machine = instance.weights
    total += process * int(instance.process_cost[moved].sum())
    total += service * int(np.bincount(instance.service[moved], minlength=1).max())
    return total + machine * int(instance.move_costs[instance.start, found].sum())


def _load(instance: Instance, found: Array) -> Array:
    load = np.zeros_like(instance.capacity)
    np.add.at(load, found, instance.requirement)
    return load


def _places(instance: Instance, found: Array, place: Array) -> dict[int, set[int]]:
    places: dict[int, set[int]] = {}
    for service, where in zip(instance.service.tolist(), place[found].tolist(), strict=True):
        places.setdefault(service, set()).add(where)
    return places
