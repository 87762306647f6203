"""Where notices never go, however the address is written (attacks.md S8)."""

from __future__ import annotations

import pytest

from hosts.egress import REACHES, why_not_reach

NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
]
LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
PRIVATE = ["10.77.0.1", "172.16.0.9", "192.168.1.1", "fd12::1", "100.64.0.1", "::ffff:10.0.0.1"]
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1"]


@pytest.mark.parametrize("reach", REACHES)
@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_links_are_never_reached(address: str, reach: str):
    assert why_not_reach(address, reach)


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_is_reached_only_where_the_administrator_says_so(address: str):
    assert why_not_reach(address, "private")
    assert why_not_reach(address, "public")
    assert why_not_reach(address, "any") == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_private_networks_are_reached_unless_the_administrator_forbids_it(address: str):
    assert why_not_reach(address, "private") == ""
    assert why_not_reach(address, "public")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_always_reached(address: str):
    assert [why_not_reach(address, reach) for reach in REACHES] == ["", "", ""]
