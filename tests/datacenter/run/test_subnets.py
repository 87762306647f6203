from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from datacenter.run.subnets import networks_routed, subnet_pick
from hosts.errors import Refused

TABLE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
br0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_the_kernels_routing_table_is_read_without_default_routes():
    assert networks_routed(TABLE) == [IPv4Network("192.0.2.0/24"), IPv4Network("10.77.0.0/24")]


def test_a_subnet_in_use_is_passed_over():
    assert subnet_pick(None, networks_routed(TABLE)) == IPv4Network("10.77.1.0/24")


def test_the_last_runs_subnet_is_kept_while_it_is_free():
    assert subnet_pick("10.77.9.0/24", []) == IPv4Network("10.77.9.0/24")
    assert subnet_pick("10.77.0.0/24", networks_routed(TABLE)) == IPv4Network("10.77.1.0/24")


def test_a_machine_that_uses_all_of_them_is_told_so():
    with pytest.raises(Refused, match=r"10\.77\.0\.0/16 is in use"):
        subnet_pick(None, [IPv4Network("10.0.0.0/8")])
