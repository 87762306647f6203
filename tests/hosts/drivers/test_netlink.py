"""hosts.drivers.netlink against the kernel, in a network namespace made for each test."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator

import pytest

from hosts.drivers import netlink
from hosts.errors import Refused, Rejected, Vanished
from hosts.lab.namespaces import in_netns, netns_make

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root")


@pytest.fixture
def inside() -> Iterator[Callable]:
    """Runs a function in a fresh network namespace."""
    netns_fd = netns_make()
    yield lambda work: in_netns(netns_fd, work)
    os.close(netns_fd)


def test_a_fresh_namespace_has_the_loopback_alone(inside: Callable) -> None:
    links = inside(netlink.list_links)

    assert [(link.name, link.kind, link.up, link.carrier) for link in links] == [("lo", "loopback", False, False)]


def test_a_bridge_is_made_once_and_marked_as_ours(inside: Callable) -> None:
    assert inside(lambda: netlink.bridge_ensure("stw0", mtu=1400)) is True
    assert inside(lambda: netlink.bridge_ensure("stw0", mtu=1400)) is False

    bridge = inside(lambda: netlink.find_link("stw0"))
    assert (bridge.kind, bridge.mtu, bridge.up, bridge.made_by_stowage) == ("bridge", 1400, True, True)


def test_a_bridge_is_ours_before_its_alias_is_written(inside: Callable) -> None:
    def make_and_crash() -> None:
        with netlink.netlink("test") as route:
            route.link("add", ifname="stw0", kind="bridge", address=netlink._bridge_mac())

    inside(make_and_crash)

    assert inside(lambda: netlink.find_link("stw0")).made_by_stowage
    assert inside(lambda: netlink.bridge_remove("stw0")) is True


def test_removing_twice_equals_removing_once(inside: Callable) -> None:
    inside(lambda: netlink.bridge_ensure("stw0"))

    assert inside(lambda: netlink.bridge_remove("stw0")) is True
    assert inside(lambda: netlink.bridge_remove("stw0")) is False


def test_a_foreign_bridge_is_used_but_never_changed_or_removed(inside: Callable) -> None:
    def make_foreign() -> None:
        with netlink.netlink("test") as route:
            route.link("add", ifname="br0", kind="bridge")

    inside(make_foreign)

    assert inside(lambda: netlink.bridge_ensure("br0", mtu=1400)) is False
    bridge = inside(lambda: netlink.find_link("br0"))
    assert (bridge.mtu, bridge.up, bridge.made_by_stowage) == (1500, False, False)
    with pytest.raises(Refused, match="not made by Stowage"):
        inside(lambda: netlink.bridge_remove("br0"))


def test_a_name_that_belongs_to_another_link_is_refused(inside: Callable) -> None:
    with pytest.raises(Refused, match="no bridge"):
        inside(lambda: netlink.bridge_ensure("lo"))


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "a b", "../x"])
def test_a_hostile_bridge_name_is_refused(inside: Callable, name: str) -> None:
    with pytest.raises(Refused, match="not a name"):
        inside(lambda: netlink.bridge_ensure(name))


def test_a_bridge_with_ports_is_not_removed(inside: Callable) -> None:
    inside(lambda: netlink.bridge_ensure("stw0"))
    inside(lambda: netlink.veth_add("v0", "v1"))
    inside(lambda: netlink.link_set("v0", master="stw0"))

    with pytest.raises(Refused, match="in use by v0"):
        inside(lambda: netlink.bridge_remove("stw0"))


def test_a_pulled_link_loses_its_carrier_and_is_told(inside: Callable) -> None:
    inside(lambda: netlink.veth_add("v0", "v1"))
    inside(lambda: netlink.link_set("v0", address="10.9.9.1/24"))
    inside(lambda: netlink.link_set("v1"))
    assert inside(lambda: netlink.find_link("v0")).carrier
    told: queue.Queue[str] = queue.Queue()
    watch = inside(lambda: netlink.LinkWatch(told.put))

    inside(lambda: netlink.link_set("v1", up=False))

    while told.get(timeout=2) != "v0":  # "v1" and changes of addresses may come before it
        pass
    link = inside(lambda: netlink.find_link("v0"))
    assert (link.up, link.carrier) == (True, False)
    assert "10.9.9.1/24" in link.addresses
    watch.close()
    watch.close()


def test_a_closed_watch_leaves_no_descriptor(inside: Callable) -> None:
    before = len(os.listdir("/proc/self/fd"))

    inside(lambda: netlink.LinkWatch(lambda name: None)).close()

    assert len(os.listdir("/proc/self/fd")) == before


def test_foreign_errors_become_ours_by_number(inside: Callable) -> None:
    with pytest.raises(Vanished):
        inside(lambda: netlink.link_set("nothing"))
    inside(lambda: netlink.veth_add("v0", "v1"))
    with pytest.raises(Rejected, match="taken"):
        inside(lambda: netlink.veth_add("v0", "v2"))


def test_networks_name_addresses_and_routes(inside: Callable) -> None:
    inside(lambda: netlink.veth_add("v0", "v1"))
    inside(lambda: netlink.link_set("v0", address="10.9.9.1/24"))

    networks = inside(netlink.list_networks)

    assert "10.9.9.1/24" in networks and "10.9.9.0/24" in networks
