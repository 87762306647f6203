"""Packing items with several sizes into equal bins."""

from __future__ import annotations

import numpy as np
import pytest

from datacenter.planner.vector_packing import lower_bound, pack


def test_no_bin_is_overfilled_and_no_item_is_left_out() -> None:
    needs = np.random.default_rng(3).uniform(0.05, 0.6, (60, 3))

    bins = pack(needs, np.ones(3), patience=2)

    assert (bins >= 0).all()
    assert all((needs[bins == number].sum(axis=0) <= 1 + 1e-6).all() for number in range(bins.max() + 1))
    assert bins.max() + 1 >= lower_bound(needs)


def test_items_that_complete_each_other_are_brought_together() -> None:
    generator = np.random.default_rng(4)
    halves = generator.uniform(0.1, 0.9, (12, 2))
    needs = np.vstack([halves, 1 - halves])

    assert pack(needs, np.ones(2)).max() + 1 == 12


def test_an_item_larger_than_a_bin_is_refused_and_nothing_needs_no_bin() -> None:
    with pytest.raises(ValueError, match="larger than a bin"):
        pack(np.array([[2.0]]), np.ones(1))
    assert len(pack(np.zeros((0, 2)), np.ones(2))) == 0
