"""Where connections to an address that a person gave may go: notices, and images that are fetched (attacks.md S8).

Never to this machine itself, to its link or to a cloud's metadata service. Private networks are allowed unless the
administrator says otherwise: a data center's chat, ntfy and mirrors live inside. Knows no Django: planes and the
process that sends import it.
"""

from __future__ import annotations

import ipaddress
from typing import Literal

Reach = Literal["public", "private", "any"]
REACHES: tuple[Reach, ...] = ("public", "private", "any")
# Metadata services outside the link-local ranges: AWS over IPv6, Alibaba Cloud, Oracle Cloud.
METADATA = {ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def why_not_reach(text: str, reach: Reach) -> str:
    """Why nothing is asked of that IP address; empty when it may be.

    "any" allows loopback too, for a mail relay on this machine; link-local and metadata addresses never.
    """
    address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_link_local or address in METADATA:
        return f"{text} is a link-local address or a cloud's metadata service, which Stowage never asks."
    if address.is_multicast or address.is_unspecified or (address.is_reserved and not address.is_private):
        return f"{text} is no address of one machine."
    if address.is_loopback:
        return "" if reach == "any" else f"{text} is this machine itself. STOWAGE_NOTICE_TARGETS=any would allow it."
    if not address.is_global and reach == "public":
        return f"{text} is a private address, and STOWAGE_NOTICE_TARGETS=public allows none."
    return ""


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
