"""Following demand through the day."""

from __future__ import annotations

import numpy as np

from datacenter.planner.tides import Follower, Tide


def test_steady_demand_moves_nothing_after_the_first_packing() -> None:
    demand = np.full(20, 10.0)
    follower = Follower(Tide(), 100.0, demand, np.full(20, 40.0))
    first = follower.host.copy()

    for _ in range(5):
        follower.observe(demand)

    assert (np.bincount(first, demand) <= 100).all()
    assert (follower.host == first).sum() >= 15


def test_a_host_over_its_level_is_relieved_at_once() -> None:
    demand = np.full(20, 8.0)
    follower = Follower(Tide(), 100.0, demand, np.full(20, 8.0))
    busy = demand.copy()
    busy[follower.host == follower.host[0]] = 15.0

    follower.observe(busy)

    assert (np.bincount(follower.host, busy) <= 100).all()


def test_hosts_are_emptied_when_demand_falls() -> None:
    demand = np.full(20, 20.0)
    follower = Follower(Tide(), 100.0, demand, demand)
    before = len(set(follower.host.tolist()))

    for _ in range(60):
        follower.observe(demand / 4)

    assert len(set(follower.host.tolist())) < before / 2
