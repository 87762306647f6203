"""The lab's switch: two bridges in a network namespace of their own.

A namespace of its own, because on a machine with Docker bridge netfilter and its FORWARD DROP would kill the
frames between lab hosts. The first bridge is the management network and has one link to the machine's own
namespace. The second is the migration network and has none: libvirt listens there without authentication,
and no user of the machine can reach it.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable

from hosts.drivers import netlink
from hosts.errors import Refused
from hosts.lab.layout import HostPlan
from hosts.lab.namespaces import in_netns, netns_make, netns_of

MANAGEMENT = "management"
MIGRATION = "migration"
GUEST_BRIDGE = "br-lab"
UPLINK = "uplink"
_FIRST_HOST = 11


class Subnet:
    """10.77.N.0/24 for management, and 10.78.N.0/24 for migration, seen by the lab hosts alone."""

    def __init__(self, third_octet: int) -> None:
        self.third_octet = third_octet

    @property
    def cidr(self) -> str:
        return f"10.77.{self.third_octet}.0/24"

    @property
    def switch_address(self) -> str:
        return f"10.77.{self.third_octet}.1"

    def address(self, host: HostPlan) -> str:
        return f"10.77.{self.third_octet}.{_FIRST_HOST + host.number}"

    def migration_address(self, host: HostPlan) -> str:
        return f"10.78.{self.third_octet}.{_FIRST_HOST + host.number}"


def subnet_choose(wanted: str, preferred: int | None, busy: list[str]) -> Subnet:
    """A subnet that overlaps none of the `busy` networks ("10.0.0.1/8").

    `wanted` is "auto" or a 10.77.N.0/24; `preferred` is the N of an earlier run. Raises Refused.
    """
    if wanted != "auto":
        octets = wanted.split(".")
        if len(octets) != 4 or octets[:2] != ["10", "77"] or octets[3] != "0/24" or not octets[2].isdigit():
            raise Refused(f"“{wanted}” is not a subnet for the lab: give 10.77.N.0/24 or auto.")
        candidates = [int(octets[2])]
    else:
        candidates = [*([] if preferred is None else [preferred]), *range(256)]
    taken = [ipaddress.ip_network(network, strict=False) for network in busy]
    for third_octet in candidates:
        subnet = Subnet(third_octet)
        if not any(ipaddress.ip_network(subnet.cidr).overlaps(network) for network in taken):
            return subnet
    raise Refused(f"No free subnet for the lab: {wanted if wanted != 'auto' else '10.77.0.0/16'} is in use.")


class Switch:
    """The switch while it runs. It is gone when closed, and also when this process dies in any way."""

    def __init__(self, uplink: str, subnet: Subnet) -> None:
        self.subnet = subnet
        self.uplink = uplink
        self.netns_fd = netns_make()

    def start(self) -> None:
        """Makes the bridges and the link to this machine's namespace, with the address x.x.x.1 on it."""
        netlink.link_remove(self.uplink)
        self._inside(lambda: [netlink.bridge_ensure(name) for name in (MANAGEMENT, MIGRATION)])
        netlink.veth_add(self.uplink, UPLINK, peer_netns_fd=self.netns_fd)
        self._inside(lambda: netlink.link_set(UPLINK, master=MANAGEMENT))
        netlink.link_set(self.uplink, address=f"{self.subnet.switch_address}/24")

    def plug_in(self, host: HostPlan, init_pid: int) -> None:
        """Connects a host that has just booted: eth0 for management, eth1 for migration, addresses, a guest bridge.

        The kernel removes both cables when the host's namespace ends.
        """
        cables = ((f"m-{host.name}", "eth0", MANAGEMENT), (f"x-{host.name}", "eth1", MIGRATION))

        def connect() -> None:
            for port, far_end, bridge in cables:
                netlink.link_remove(port)  # the cable of a host that died a moment ago may still hang there
                mac = host.mac if far_end == "eth0" else None
                netlink.veth_add(port, far_end, peer_pid=init_pid, peer_mac=mac)
                netlink.link_set(port, master=bridge)

        def configure() -> None:
            netlink.link_set("lo")
            netlink.link_set("eth0", address=f"{self.subnet.address(host)}/24")
            netlink.link_set("eth1", address=f"{self.subnet.migration_address(host)}/24")
            netlink.bridge_add_foreign(GUEST_BRIDGE)

        self._inside(connect)
        host_netns_fd = netns_of(init_pid)
        try:
            in_netns(host_netns_fd, configure)
        finally:
            os.close(host_netns_fd)

    def stop(self) -> None:
        netlink.link_remove(self.uplink)
        if self.netns_fd >= 0:
            os.close(self.netns_fd)
            self.netns_fd = -1

    def _inside(self, work: Callable[[], object]) -> None:
        in_netns(self.netns_fd, work)
