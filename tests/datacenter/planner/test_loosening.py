"""The smallest change that frees a host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from datacenter.planner import smallest_change
from datacenter.planner.model import DataCenter

from .worlds import PLAIN, host, vm, world


def sentence(data_center: DataCenter, host_id: str, **policy: float) -> str | None:
    change = smallest_change(data_center, replace(PLAIN, **policy), host_id)  # type: ignore[arg-type]
    return change.sentence if change else None


def test_a_pin_a_rule_headroom_and_size_are_each_found_as_the_one_thing_in_the_way() -> None:
    pinned = world([host("h1"), host("h2")], [vm("big", "h1", pinned=True), vm("pin", "h2", pinned=True)])
    apart = world(
        [host("h1"), host("h2")],
        [vm("a", "h1", pinned=True, anti_affinity=("g",)), vm("b", "h2", anti_affinity=("g",))],
    )
    full = world([host("h1"), host("h2")], [vm("a", "h1", memory=4000), vm("b", "h2", memory=4000)])
    large = world([host("h1"), host("h2")], [vm("a", "h1", memory=5000, pinned=True), vm("b", "h2", memory=4000)])

    assert sentence(pinned, "h2") == "Unpin pin, and h2 can be freed."
    assert sentence(apart, "h2") == "Give up rule g, and h2 can be freed."
    assert sentence(full, "h2", memory_headroom=0.1) == "Lower the memory headroom to 0%, and h2 can be freed."
    assert sentence(large, "h2") == "Give b 1,000 MiB less memory, and h2 can be freed."


def test_no_single_change_is_said_where_none_helps() -> None:
    hopeless = world([host("h1", memory=2000), host("h2")], [vm("a", "h2", memory=8000), vm("b", "h1", pinned=True)])

    assert sentence(hopeless, "h2") is None


def test_a_licence_a_rack_a_list_of_hosts_and_an_hour_are_each_found_too() -> None:
    def kept_by(**fields: Any) -> DataCenter:
        hosts = [host("h1", site="s", rack="r1"), host("h2", site="s", rack="r2", licences=("db",))]
        return world(hosts, [vm("big", "h1", pinned=True), vm("a", "h2", **fields)])

    assert sentence(kept_by(licences=("db",)), "h2") == "License db for more hosts, for a, and h2 can be freed."
    assert sentence(kept_by(within=("s/r2",)), "h2") == "Let a leave s/r2, and h2 can be freed."
    assert sentence(kept_by(only_hosts=("h2",)), "h2") == "Let a run on any host, and h2 can be freed."
    assert sentence(kept_by(no_move_hours=(9,)), "h2", start_hour=9, max_minutes=30.0) == (
        "Start when everything on h2 may move, and it can be freed."
    )
