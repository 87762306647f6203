"""The guest's own word through its agent, as libvirt passes it on. Source: virDomainGetGuestInfo.

Each kind is asked for by itself: an agent may know one and not another. An agent that does not answer at all
costs one short wait and the rest is not asked for.
"""

from __future__ import annotations

from typing import Any

import libvirt

from hosts.drivers.libvirt_errors import is_code
from hosts.errors import TimedOut
from hosts.guest import ADDRESSES_MOST, FILESYSTEMS_MOST, INTERFACES_MOST, guest_judged

# For every answer of an agent: libvirt's own patience has no end. Whoever asks first sets it for all, so there is
# one value. To its first word libvirt gives an agent 5 s whatever stands here.
AGENT_TIMEOUT_S = 15
_KINDS = (
    libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME,
    libvirt.VIR_DOMAIN_GUEST_INFO_OS,
    libvirt.VIR_DOMAIN_GUEST_INFO_INTERFACES,
    libvirt.VIR_DOMAIN_GUEST_INFO_FILESYSTEM,
)


def guest_ask(domain: libvirt.virDomain) -> dict[str, Any]:
    """What the guest says of itself; raises TimedOut when its agent says nothing at all."""
    domain.agentSetResponseTimeout(AGENT_TIMEOUT_S, 0)
    told: dict[str, Any] = {}
    has_answered = False
    for kind in _KINDS:
        try:
            told |= dict(domain.guestInfo(kind, 0))
            has_answered = True
        except libvirt.libvirtError as error:
            if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                raise
            if is_code(error, libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_OPERATION_INVALID):
                break
    if not has_answered:
        raise TimedOut("The guest's agent does not answer.")
    return guest_read(told)


def guest_read(told: dict[str, Any]) -> dict[str, Any]:
    """libvirt's flat names ("if.0.addr.1.addr") as our values, judged."""
    return guest_judged(
        {
            "hostname": told.get("hostname"),
            "system": {
                "name": told.get("os.pretty-name") or told.get("os.name"),
                "version": told.get("os.version") or told.get("os.version-id"),
                "kernel": told.get("os.kernel-release"),
            },
            "interfaces": [_interface(told, f"if.{n}") for n in range(_count(told, "if", INTERFACES_MOST))],
            "filesystems": [_filesystem(told, f"fs.{n}") for n in range(_count(told, "fs", FILESYSTEMS_MOST))],
        }
    )


def _interface(told: dict[str, Any], at: str) -> dict[str, Any]:
    count = _count(told, f"{at}.addr", ADDRESSES_MOST)
    listed = [(told.get(f"{at}.addr.{n}.addr"), told.get(f"{at}.addr.{n}.prefix")) for n in range(count)]
    return {
        "name": told.get(f"{at}.name"),
        "mac": told.get(f"{at}.hwaddr"),
        "addresses": [str(text)[:64] if prefix is None else f"{str(text)[:64]}/{prefix}" for text, prefix in listed],
    }


def _filesystem(told: dict[str, Any], at: str) -> dict[str, Any]:
    names = {"mount": "mountpoint", "type": "fstype", "total_bytes": "total-bytes", "used_bytes": "used-bytes"}
    return {ours: told.get(f"{at}.{theirs}") for ours, theirs in names.items()}


def _count(told: dict[str, Any], group: str, most: int) -> int:
    count = told.get(f"{group}.count", 0)
    return min(count, most) if isinstance(count, int) else 0
