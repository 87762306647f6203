"""Bins' contents chosen by a linear program."""

from __future__ import annotations

import numpy as np

from datacenter.planner.patterns import best_patterns, pack_by_patterns


def never() -> bool:
    return False


def apart(sizes: np.ndarray) -> np.ndarray:
    return np.arange(len(sizes))


def planted(bins: int, seed: int) -> np.ndarray:
    """Items of which three at a time fill a bin to the brim."""
    two = np.random.default_rng(seed).integers(25, 50, (bins, 2, 3))
    return np.concatenate([two.reshape(-1, 3), 100 - two.sum(axis=1)]) / 100


def test_items_cut_from_full_bins_are_put_back_without_waste() -> None:
    sizes = planted(20, 1)

    packed, least = pack_by_patterns(sizes, apart(sizes), 20, 5, never)

    assert packed.max() + 1 == least == 20
    assert all(np.allclose(sizes[packed == bin_].sum(axis=0), 1) for bin_ in range(20))


def test_full_bins_are_found_among_items_that_give_room_back() -> None:
    sizes = planted(8, 2)
    sizes[0, 0], sizes[1, 0] = sizes[0, 0] - 0.5, sizes[1, 0] + 0.5
    sizes = np.vstack([sizes, [[0.5, 0.4, 0.3], [0.5, 0.6, 0.7]]])

    packed, _ = pack_by_patterns(sizes, apart(sizes), 9, 5, never)

    assert all((sizes[packed == bin_].sum(axis=0) <= 1 + 1e-6).all() for bin_ in range(packed.max() + 1))
    assert packed.max() + 1 <= 11


def test_a_bound_is_raised_only_as_far_as_is_proved() -> None:
    sizes = np.random.default_rng(5).uniform(0.2, 0.6, (30, 3))

    packed, least = pack_by_patterns(sizes, apart(sizes), 1, 5, never)

    assert (packed >= 0).all()
    assert all((sizes[packed == bin_].sum(axis=0) <= 1 + 1e-6).all() for bin_ in range(packed.max() + 1))
    assert least <= packed.max() + 1 <= least + 1


def test_stopping_at_once_gives_back_what_was_known() -> None:
    sizes = np.random.default_rng(6).uniform(0.1, 0.6, (40, 2))

    packed, least = pack_by_patterns(sizes, apart(sizes), 7, 5, lambda: True)

    assert (packed == apart(sizes)).all()
    assert least == 7


def test_no_pattern_is_offered_that_costs_more_than_it_is_worth() -> None:
    sizes = np.array([[0.6], [0.5], [0.4]])

    found, was_complete = best_patterns(sizes, np.array([0.5, 0.5, 0.5]), 1_000)
    dearer, _ = best_patterns(sizes, np.array([0.7, 0.5, 0.5]), 1_000)

    assert was_complete
    assert len(found) == 0
    assert [sorted(row[row >= 0]) for row in dearer] == [[0, 2]]
