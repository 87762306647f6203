"""Two plans side by side."""

from __future__ import annotations

from dataclasses import replace

from datacenter.planner import plan
from datacenter.planner.comparison import compare

from .worlds import PLAIN, host, vm, world


def test_a_plan_differs_from_itself_in_nothing() -> None:
    result = plan(world([host("h1"), host("h2")], [vm("a", "h1"), vm("b", "h2", memory=2048)]), PLAIN)

    assert result.moves
    assert compare(result, result).is_empty


def test_a_pin_shows_as_a_dropped_move_and_a_host_kept() -> None:
    free = world([host("h1"), host("h2")], [vm("a", "h1"), vm("b", "h2", memory=2048)])
    pinned = replace(free, workloads=tuple(replace(item, pinned=True) for item in free.workloads))

    difference = compare(plan(free, PLAIN), plan(pinned, PLAIN))

    assert difference.moves_dropped == (("a", "h2"),)
    assert difference.hosts_kept_now == ("h1",)
    assert difference.watts == 80
