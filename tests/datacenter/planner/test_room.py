"""Placing new workloads from room kept ready."""

from __future__ import annotations

from hypothesis import given, settings

from datacenter.planner import place
from datacenter.planner.model import DataCenter, Policy, Resources, Workload
from datacenter.planner.room import Room

from .worlds import PLAIN, data_centers, host, policies, vm, world


@settings(max_examples=30, deadline=None)
@given(data_centers(), policies())
def test_room_gives_the_same_answer_as_a_fresh_placement(data_center: DataCenter, policy: Policy) -> None:
    new = Workload("new", "vm", Resources(2, 2048, 5), anti_affinity=("a",))

    fresh, ready = place(data_center, policy, new), Room(data_center, policy).place(new)

    assert (fresh.host is None) == (ready.host is None)


def test_workloads_placed_at_once_see_each_other() -> None:
    room = Room(world([host("h1"), host("h2")], [vm("old", "h1", memory=1024)]), PLAIN)

    answers = room.place_all(vm(f"n{number}", "", memory=4096, anti_affinity=("n",)) for number in range(3))

    assert sorted(answer.host or "none" for answer in answers.values()) == ["h1", "h2", "none"]
