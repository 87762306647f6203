"""What this kernel lacks, tried out in a network namespace of its own, so that nothing on the host changes."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

log = logging.getLogger(__name__)

_CLONE_NEWNET = 0x40000000
_SENTENCES = {
    "vlan": "This kernel has no 802.1Q devices, so VLANs are not available on this host.",
    "vxlan": "This kernel has no VXLAN devices, so overlay networks are not available on this host.",
    "wireguard": "This kernel has no WireGuard, so encrypted tunnels are not available on this host.",
    "dummy": "This kernel has no dummy devices.",
    "ipvs": "This kernel has no IPVS, so load balancing by the kernel is not available on this host.",
    "openvswitch": "This kernel has no Open vSwitch.",
}
_MODULES = {"ipvs": "ip_vs", "openvswitch": "openvswitch"}


def absent_features(timeout_s: float = 5.0) -> tuple[dict[str, str], list[str]]:
    """What is not available, a sentence for each; and sentences about what could not be found out."""
    lacking = {name for name, module in _MODULES.items() if not _has_module(module)}
    tried: dict[str, bool] = {}
    missing: list[str] = []
    # The namespace belongs to one thread and ends with it.
    thread = threading.Thread(target=_try_kinds, args=(tried, missing), name="kernel features", daemon=True)
    thread.start()
    thread.join(timeout_s)
    lacking |= {kind for kind, works in tried.items() if not works}
    return {name: _SENTENCES[name] for name in sorted(lacking)}, missing


def _try_kinds(tried: dict[str, bool], missing: list[str]) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        missing.append("Which network devices the kernel has could not be tried: that needs root.")
        log.info("unshare: %s", os.strerror(ctypes.get_errno()))
        return
    try:
        with IPRoute() as route:
            route.link("add", ifname="stwb", kind="bridge")
            bridge = route.link_lookup(ifname="stwb")[0]
            tried["vlan"] = _works(route, kind="vlan", link=bridge, vlan_id=2)
            tried["vxlan"] = _works(route, kind="vxlan", vxlan_id=2, vxlan_port=4789)
            tried["wireguard"] = _works(route, kind="wireguard")
            tried["dummy"] = _works(route, kind="dummy")
    except (NetlinkError, OSError) as error:
        missing.append("Which network devices the kernel has could not be tried.")
        log.info("Trying devices: %s", error)


def _works(route: IPRoute, **device: object) -> bool:
    try:
        route.link("add", ifname="stwt", **device)
    except NetlinkError as error:
        log.debug("%s: %s", device, error)
        return False
    route.link("del", index=route.link_lookup(ifname="stwt")[0])
    return True


def _has_module(name: str) -> bool:
    """Whether a module is loaded, built in, or there to be loaded."""
    if Path("/sys/module", name).exists():
        return True
    folder = Path("/lib/modules", os.uname().release)
    for listing in ("modules.builtin", "modules.dep"):
        try:
            text = (folder / listing).read_text()
        except OSError:
            continue
        if f"/{name}.ko" in text:
            return True
    return False
