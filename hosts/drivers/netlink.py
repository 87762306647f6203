"""Links, bridges and addresses of the network namespace that the caller is in.

A bridge that Stowage made is known by its alias and by the first bytes of its MAC: the kernel sets the MAC in
the same breath as it makes the link, so that a crash before the alias is written leaves nothing unclaimed.
Links without that mark are read and never touched.

Every function opens a socket of its own and closes it: pyroute2 0.9 keeps one socket for each thread that
used an IPRoute, until it is closed in that thread.
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from pyroute2 import AsyncIPRoute, IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import (
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_LINK,
)

from hosts.errors import DriverError, Refused, Rejected, TimedOut, Unreachable, Vanished

ALIAS = "stowage"
_MAC_MARK = "02:73:74:77"  # locally administered; then "stw"
_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_NAME_LENGTH_MAX = 15  # IFNAMSIZ less the closing zero


@dataclass(frozen=True)
class Link:
    """A network link; `carrier` is False while the link is down, `addresses` are "address/prefix"."""

    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    addresses: tuple[str, ...]
    master: str | None
    made_by_stowage: bool
    rx_bytes: int
    tx_bytes: int

    def to_data(self) -> dict[str, Any]:
        """The link as it travels in an observation."""
        return asdict(self) | {"addresses": list(self.addresses)}


def error_from(error: NetlinkError | OSError, what: str) -> DriverError:
    """Our error for one of netlink's, by its number; `what` says what was being done."""
    code = error.code if isinstance(error, NetlinkError) else error.errno
    detail = f"{what}: {error}"
    if code in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return Vanished(f"The link is no longer there ({what}).", detail)
    if code == errno.EEXIST:
        return Rejected(f"The name or address is taken already ({what}).", detail)
    if code in (errno.EPERM, errno.EACCES):
        return Rejected(f"Changing the network needs root ({what}).", detail)
    if code == errno.EOPNOTSUPP:
        return Rejected(f"This kernel does not have what is needed ({what}).", detail)
    if code in (errno.ETIMEDOUT, errno.EAGAIN):
        return TimedOut(f"The kernel did not answer in time ({what}).", detail)
    if code in (errno.EBADF, errno.ECONNRESET, errno.ENOBUFS, errno.EMFILE, errno.ENFILE):
        return Unreachable(f"The kernel's network socket is gone ({what}).", detail)
    return Rejected(f"The kernel refused ({what}).", detail)


@contextmanager
def netlink(what: str) -> Iterator[IPRoute]:
    """An open netlink socket, closed at the end; its errors leave as ours."""
    try:
        with IPRoute() as route:
            yield route
    except (NetlinkError, OSError) as error:
        raise error_from(error, what) from error


def list_links() -> list[Link]:
    """Every link of this namespace with its addresses and counters, in the kernel's order."""
    with netlink("listing links") as route:
        return _read_links(route)


def find_link(name: str) -> Link | None:
    """The link called `name`, or None."""
    return next((link for link in list_links() if link.name == name), None)


def bridge_ensure(name: str, mtu: int | None = None) -> bool:
    """Whether a bridge called `name` had to be made; it stands afterwards in either case.

    A bridge that somebody else made is left exactly as it is. Raises Refused when the name belongs to
    another kind of link, or is no name for a link.
    """
    if not 0 < len(name) <= _NAME_LENGTH_MAX or any(c.isspace() or c in "/:" for c in name):
        raise Refused(f"“{name}” is not a name for a bridge: 1 to 15 letters and digits are.")
    with netlink(f"making the bridge {name}") as route:
        created = False
        if not _index_of(route, name):
            try:
                route.link("add", ifname=name, kind="bridge", address=_bridge_mac())
                created = True
            except NetlinkError as error:
                if error.code != errno.EEXIST:  # somebody was faster: read it back below
                    raise
        link = next((link for link in _read_links(route) if link.name == name), None)
        if link is None:
            raise Vanished(f"The bridge {name} vanished while it was being made.")
        if link.kind != "bridge":
            raise Refused(f"{name} is there already and is no bridge. Choose another name for the bridge.")
        if link.made_by_stowage:
            index = _index_of(route, name)
            route.link("set", index=index, ifalias=ALIAS, state="up", **({"mtu": mtu} if mtu else {}))
        return created


def bridge_remove(name: str) -> bool:
    """Whether there was such a bridge; it is gone afterwards.

    Raises Refused for a link that Stowage did not make, and for a bridge with ports.
    """
    with netlink(f"removing the bridge {name}") as route:
        links = _read_links(route)
        link = next((link for link in links if link.name == name), None)
        if link is None:
            return False
        if not link.made_by_stowage or link.kind != "bridge":
            raise Refused(f"{name} was not made by Stowage, so Stowage does not remove it.")
        if ports := [port.name for port in links if port.master == name]:
            raise Refused(f"{name} is in use by {', '.join(ports)}. Move or stop what is attached first.")
        return _delete(route, name)


def bridge_add_foreign(name: str) -> None:
    """Makes a bridge without Stowage's mark, as an administrator would have; the lab's hosts come with one."""
    with netlink(f"making the bridge {name}") as route:
        if not _index_of(route, name):
            route.link("add", ifname=name, kind="bridge")
        route.link("set", index=_index_of(route, name), state="up")


def link_remove(name: str) -> bool:
    """Whether there was a link called `name`, whoever made it; it is gone afterwards. For the lab alone."""
    with netlink(f"removing {name}") as route:
        return _delete(route, name)


def veth_add(
    name: str,
    peer: str,
    *,
    peer_pid: int | None = None,
    peer_netns_fd: int | None = None,
    peer_mac: str | None = None,
) -> None:
    """Makes a pair of links: `name` here, `peer` in the namespace of a process or of an open descriptor."""
    far_end: dict[str, Any] = {"ifname": peer}
    if peer_mac is not None:
        far_end["address"] = peer_mac
    if peer_pid is not None:
        far_end["net_ns_pid"] = peer_pid
    if peer_netns_fd is not None:
        far_end["net_ns_fd"] = peer_netns_fd
    with netlink(f"making the pair {name} and {peer}") as route:
        route.link("add", ifname=name, kind="veth", peer=far_end)


def link_set(name: str, *, master: str | None = None, address: str | None = None, up: bool = True) -> None:
    """Puts a link on a bridge, gives it an address ("10.0.0.1/24"; an equal one may be there), ups or downs it."""
    with netlink(f"setting {name}") as route:
        index = _index_of(route, name)
        if not index:
            raise Vanished(f"There is no link called {name}.")
        if address:
            ip, prefix = address.split("/")
            try:
                route.addr("add", index=index, address=ip, prefixlen=int(prefix))
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
        if master:
            route.link("set", index=index, master=_index_of(route, master))
        route.link("set", index=index, state="up" if up else "down")


def list_networks() -> list[str]:
    """Every IPv4 network with an address or a route here ("10.0.0.0/8"), the default route left out."""
    with netlink("listing routes") as route:
        networks = {f"{a.get('address')}/{a['prefixlen']}" for a in route.get_addr(family=2)}
        for entry in route.get_routes(family=2):
            if entry["dst_len"] and entry.get("dst"):
                networks.add(f"{entry.get('dst')}/{entry['dst_len']}")
        return sorted(networks)


class LinkWatch:
    """Calls `on_change(link name or "")` from a thread of its own at each change of a link or address.

    The calls are hints: read the links again. The thread stays in the network namespace of its maker.
    """

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._bound = threading.Event()
        self._thread = threading.Thread(target=self._run, name="netlink watch", daemon=True)
        self._thread.start()
        self._bound.wait(5)

    def close(self) -> None:
        """Ends the watch; no call comes after it returns."""
        if self._task is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(5)

    def _run(self) -> None:
        self._task = self._loop.create_task(self._listen())
        try:
            self._loop.run_until_complete(self._task)
        except (asyncio.CancelledError, NetlinkError, OSError):
            pass  # closed, or the namespace is gone: nothing is left to watch
        finally:
            self._bound.set()
            self._loop.close()

    async def _listen(self) -> None:
        async with AsyncIPRoute() as route:
            await route.bind(groups=RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
            self._bound.set()
            while True:
                async for message in route.get():
                    self._on_change(str(message.get("ifname") or ""))


def _read_links(route: IPRoute) -> list[Link]:
    addresses: dict[int, list[str]] = {}
    for entry in route.get_addr():
        addresses.setdefault(entry["index"], []).append(f"{entry.get('address')}/{entry['prefixlen']}")
    raw = list(route.get_links())
    names = {entry["index"]: entry.get("ifname") for entry in raw}
    return [_link(entry, names, addresses.get(entry["index"], [])) for entry in raw]


def _link(entry: Any, names: dict[int, str], addresses: list[str]) -> Link:
    mac = entry.get("address") or ""
    kind = entry.get(("linkinfo", "kind")) or ("loopback" if entry["flags"] & _IFF_LOOPBACK else "ethernet")
    up = bool(entry["flags"] & _IFF_UP)
    counters = entry.get("stats64") or {}
    return Link(
        name=entry.get("ifname"),
        kind=kind,
        mac=mac,
        mtu=entry.get("mtu") or 0,
        up=up,
        carrier=up and bool(entry.get("carrier")),
        addresses=tuple(addresses),
        master=names.get(entry.get("master") or 0),
        made_by_stowage=entry.get("ifalias") == ALIAS or (kind == "bridge" and mac.startswith(_MAC_MARK)),
        rx_bytes=counters.get("rx_bytes", 0),
        tx_bytes=counters.get("tx_bytes", 0),
    )


def _bridge_mac() -> str:
    """A MAC with our mark, else random: bridges of two hosts may come to share a wire."""
    low = os.urandom(2)
    return f"{_MAC_MARK}:{low[0]:02x}:{low[1]:02x}"


def _index_of(route: IPRoute, name: str) -> int:
    found = route.link_lookup(ifname=name)
    return found[0] if found else 0


def _delete(route: IPRoute, name: str) -> bool:
    try:
        index = _index_of(route, name)
        if not index:
            return False
        route.link("del", index=index)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
        return False
    return True
