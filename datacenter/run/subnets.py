"""A network for the lab that this machine does not use yet."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

from hosts.errors import Refused

Network = ipaddress.IPv4Network


def networks_routed(table: str) -> list[Network]:
    """The networks of a routing table in the form of /proc/net/route, default routes left out. Source: proc(5)."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (socket.inet_ntoa(struct.pack("=L", int(fields[place], 16))) for place in (1, 7))
        if mask != "0.0.0.0":
            found.append(Network(f"{address}/{mask}", strict=False))
    return found


def subnet_pick(preferred: str | None, used: Iterable[Network]) -> Network:
    """The preferred network, or the first free 10.77.N.0/24. Raises Refused when all overlap with used ones."""
    taken = list(used)
    candidates = [Network(preferred)] if preferred else []
    candidates += [Network(f"10.77.{third}.0/24") for third in range(256)]
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise Refused("All of 10.77.0.0/16 is in use on this machine: the lab finds no network. Start with LAB=0.")


def networks_used() -> list[Network]:
    """What this machine has routes to now."""
    return networks_routed(Path("/proc/net/route").read_text())
