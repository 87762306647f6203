"""What a guest's agent told of its inside, judged: whoever owns the guest may have its agent say anything.

Judged twice, on the host and where it comes into the database, for hosts are not to be trusted either.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Any

INTERFACES_MOST = 32
ADDRESSES_MOST = 16  # of one interface
FILESYSTEMS_MOST = 64
NAME_MOST, TEXT_MOST = 64, 128
MOUNT_MOST = 256
_LARGEST = 2**63
CHANNEL = "org.qemu.guest_agent.0"

# What is known of an agent: "" of a VM that is off, or of a host that does not tell.
NO_CHANNEL, AWAY, SILENT, CONNECTED = "no channel", "away", "silent", "connected"
AGENTS = (NO_CHANNEL, AWAY, SILENT, CONNECTED)


def guest_judged(told: Any) -> dict[str, Any]:
    """Host name, system, interfaces with their addresses, and file systems; what is none of that is left out."""
    told = told if isinstance(told, dict) else {}
    system = told.get("system")
    system = system if isinstance(system, dict) else {}
    return {
        "hostname": _text(told.get("hostname")),
        "system": {key: _text(system.get(key)) for key in ("name", "version", "kernel")},
        "interfaces": [_interface(each) for each in _rows(told.get("interfaces"), INTERFACES_MOST)],
        "filesystems": [_filesystem(each) for each in _rows(told.get("filesystems"), FILESYSTEMS_MOST)],
        "told_at_s": _number(told.get("told_at_s")),
    }


def addresses_of(guest: dict[str, Any]) -> list[str]:
    """The addresses by which others may reach the guest, of all its interfaces."""
    found = [text.split("/")[0] for each in guest.get("interfaces", ()) for text in each["addresses"]]
    return list(dict.fromkeys(text for text in found if not _is_local(ipaddress.ip_address(text))))


def _is_local(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast


def _interface(row: dict[str, Any]) -> dict[str, Any]:
    addresses = row.get("addresses")
    listed = addresses[:ADDRESSES_MOST] if isinstance(addresses, list) else []
    return {
        "name": _text(row.get("name"), NAME_MOST),
        "mac": _text(row.get("mac"), 17),
        "addresses": [text for each in listed if (text := _address(each))],
    }


def _filesystem(row: dict[str, Any]) -> dict[str, Any]:
    total_bytes = _number(row.get("total_bytes"))
    return {
        "mount": _text(row.get("mount"), MOUNT_MOST),
        "type": _text(row.get("type"), NAME_MOST),
        "total_bytes": total_bytes,
        "used_bytes": min(_number(row.get("used_bytes")), total_bytes),
    }


def _address(text: Any) -> str:
    """The address with its prefix in its one spelling; empty for what is none."""
    if not isinstance(text, str) or len(text) > 64 or "%" in text:
        return ""
    try:
        return str(ipaddress.ip_interface(text))
    except ValueError:
        return ""


def _rows(value: Any, most: int) -> list[dict[str, Any]]:
    return [row for row in value[:most] if isinstance(row, dict)] if isinstance(value, list) else []


def _text(value: Any, most: int = TEXT_MOST) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character for character in value[: most * 2] if character.isprintable()).strip()[:most]


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    if isinstance(value, float) and not math.isfinite(value):  # a whole number may be too large to be asked that
        return 0
    return int(min(max(value, 0), _LARGEST))
