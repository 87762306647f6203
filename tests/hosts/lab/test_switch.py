"""hosts.lab.switch: which subnet a lab takes, and that the switch goes as it came."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.drivers import netlink
from hosts.errors import Refused
from hosts.lab.layout import Layout
from hosts.lab.switch import Subnet, Switch, subnet_choose


def test_the_first_subnet_is_taken_when_nothing_is_in_the_way() -> None:
    assert subnet_choose("auto", None, ["192.168.1.7/24"]).cidr == "10.77.0.0/24"


def test_a_busy_subnet_is_passed_over() -> None:
    assert subnet_choose("auto", None, ["10.77.0.1/24", "10.77.1.128/25"]).cidr == "10.77.2.0/24"


def test_the_subnet_of_the_last_run_is_preferred_while_it_is_free() -> None:
    assert subnet_choose("auto", 9, []).cidr == "10.77.9.0/24"
    assert subnet_choose("auto", 9, ["10.77.9.0/24"]).cidr == "10.77.0.0/24"


def test_a_route_to_all_of_ten_leaves_no_subnet() -> None:
    with pytest.raises(Refused, match="No free subnet"):
        subnet_choose("auto", None, ["10.0.0.0/8"])


def test_a_wanted_subnet_that_is_busy_is_refused() -> None:
    with pytest.raises(Refused, match="in use"):
        subnet_choose("10.77.3.0/24", None, ["10.77.3.1/24"])


@pytest.mark.parametrize("wanted", ["10.78.0.0/24", "10.77.0.0/16", "x", "10.77.x.0/24"])
def test_a_subnet_of_another_shape_is_refused(wanted: str) -> None:
    with pytest.raises(Refused, match=r"10\.77\.N\.0/24"):
        subnet_choose(wanted, None, [])


def test_management_and_migration_addresses_differ_and_fit(tmp_path: Path) -> None:
    hosts, subnet = Layout(tmp_path, 12).hosts(), Subnet(5)

    addresses = {subnet.address(host) for host in hosts} | {subnet.migration_address(host) for host in hosts}

    assert len(addresses) == 24
    assert subnet.switch_address not in addresses


@pytest.mark.skipif(os.geteuid() != 0, reason="making network namespaces needs root")
def test_a_stopped_switch_leaves_no_link(tmp_path: Path) -> None:
    layout = Layout(tmp_path, 1)
    switch = Switch(layout.uplink, subnet_choose("auto", None, netlink.list_networks()))
    switch.start()
    uplink = netlink.find_link(layout.uplink)
    assert uplink is not None and f"{switch.subnet.switch_address}/24" in uplink.addresses

    switch.stop()
    switch.stop()

    assert netlink.find_link(layout.uplink) is None
