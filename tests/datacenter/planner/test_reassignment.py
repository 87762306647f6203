"""Machine reassignment: hard rules hold, costs fall, and the search's books equal a plain count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from datacenter.planner.annealing import anneal, state_of, total_cost
from datacenter.planner.reassignment import reassign
from tests.benchmarks.planner import roadef


def instance(seed: int) -> roadef.Instance:
    """Ten machines on five sites in two neighbourhoods, sixty processes in twenty services, some dependent."""
    random = np.random.default_rng(seed)
    service = np.repeat(np.arange(20), 3)
    start = np.concatenate([random.choice(10, 3, replace=False) for _ in range(20)])
    need = random.integers(1, 20, (60, 2))
    load = np.zeros((10, 2), dtype=np.int64)
    np.add.at(load, start, need)
    neighbourhood, sites = np.arange(10) % 2, np.arange(10) // 2
    near = [set(neighbourhood[start[service == number]]) for number in range(20)]
    spread = np.array([min(2, len(set(sites[start[service == number]]))) for number in range(20)])
    depends = [[other for other in range(number) if near[number] <= near[other]][:1] for number in range(20)]
    move_costs = random.integers(0, 3, (10, 10))
    np.fill_diagonal(move_costs, 0)
    return roadef.Instance(
        np.array([True, False]), np.array([10, 3]), neighbourhood, sites, load + 25, np.full((10, 2), 40),
        move_costs, spread, depends, service, need, random.integers(0, 4, 60),
        np.array([[0, 1, 2, 5]]), (1, 10, 100), start,
    )  # fmt: skip


def after(rounds: int) -> Callable[[], float]:
    """A budget of so many looks at it."""
    looks = iter(range(rounds + 1))
    return lambda: next(looks) / rounds


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_result_breaks_no_rule_and_costs_no_more_than_the_start(seed: int) -> None:
    case = instance(seed)
    assert roadef.violations(case, case.start) == 0

    found = reassign(roadef.model_of(case), after(8), seed)

    assert roadef.violations(case, found) == 0
    assert roadef.cost(case, found) < roadef.cost(case, case.start)


def test_the_books_say_what_a_plain_count_says() -> None:
    case = instance(4)
    state = state_of(roadef.model_of(case), case.start)
    before = total_cost(state)

    change = anneal(state, 500.0, 0.2, 20_000, np.array([7], dtype=np.uint64), 0)

    assert before == roadef.cost(case, case.start)
    assert (state.assignment != case.start).any()
    assert before + change == total_cost(state) == roadef.cost(case, state.assignment)
    assert roadef.violations(case, state.assignment) == 0


def test_no_budget_leaves_all_where_it_is() -> None:
    case = instance(5)

    assert (reassign(roadef.model_of(case), lambda: 1.0) == case.start).all()


def test_the_same_seed_and_budget_give_the_same_answer() -> None:
    model = roadef.model_of(instance(6))

    assert (reassign(model, after(5), seed=3) == reassign(model, after(5), seed=3)).all()
