"""Which host is woken to relieve one with too much to do."""

from __future__ import annotations

from dataclasses import replace

from datacenter.planner.waking import host_to_wake

from .worlds import PLAIN, host, vm, world

HOT = [vm("a", "h1", cpu=6), vm("b", "h1", cpu=6)]


def test_the_largest_that_helps_is_woken() -> None:
    hosts = [host("h1"), host("h2", is_on=False), host("h3", cpu=16, is_on=False)]
    assert host_to_wake(world(hosts, HOT), PLAIN) == "h3"


def test_none_is_woken_where_the_hosts_that_are_on_have_room() -> None:
    hosts = [host("h1"), host("h2"), host("h3", is_on=False)]
    assert host_to_wake(world(hosts, HOT), PLAIN) == ""


def test_none_is_woken_that_could_take_nothing_of_it() -> None:
    asleep = host("h2", is_on=False)
    pinned = [replace(one, pinned=True) for one in HOT]
    assert host_to_wake(world([host("h1"), asleep], pinned), PLAIN) == ""
    assert host_to_wake(world([host("h1"), replace(asleep, accepts_work=False)], HOT), PLAIN) == ""
    assert host_to_wake(world([host("h1"), replace(asleep, can_power_off=False)], HOT), PLAIN) == ""


def test_a_smaller_host_that_fits_is_woken_where_the_larger_one_does_not() -> None:
    large = replace(host("h2", cpu=32, is_on=False), has_hypervisor=False)
    assert host_to_wake(world([host("h1"), large, host("h3", is_on=False)], HOT), PLAIN) == "h3"
