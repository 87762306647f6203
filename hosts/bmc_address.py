"""The address of a management controller, as an operator writes it: which protocol, where, and nothing else in it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from hosts.errors import Invalid

IPMI_PORT = 623
WAKE_PORT = 9  # discard, where network cards are used to look
EVERYBODY = "255.255.255.255"
CIPHER_MOST = 17  # of the suites that IPMI 2.0 names


@dataclass(frozen=True)
class BmcAddress:
    """`scheme` is "http" or "https" for Redfish, or "ipmi". `cipher` is IPMI's suite; None: what the two agree on."""

    scheme: str
    host: str
    port: int | None
    cipher: int | None = None


@dataclass(frozen=True)
class WakeAddress:
    """Where a magic packet goes. Without `interface` the site plane's routes choose it."""

    mac: str  # aa:bb:cc:dd:ee:ff, lower case
    broadcast: str = EVERYBODY
    port: int = WAKE_PORT
    interface: str = ""


def is_wake_only(url: str) -> bool:
    """Whether the address is one of Wake-on-LAN: it wakes its machine, and can neither read its power nor cut it."""
    return url.startswith("wol:")


def wake_address(url: str) -> WakeAddress:
    """The parts of wol:aa:bb:cc:dd:ee:ff, with ?broadcast=, ?interface= and ?port= where wanted; raises Invalid."""
    found = re.fullmatch(r"wol:([0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5})(?:\?([^#\s]*))?", url)
    if found is None:
        raise _no_wake_address()
    mac = found[1].replace("-", ":").lower()
    asked = parse_qs(found[2] or "", keep_blank_values=True)
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Invalid(f"{mac} is the address of a group, not of a network card. Correct it.", field="bmc_url")
    if set(asked) - {"broadcast", "interface", "port"} or any(len(values) > 1 for values in asked.values()):
        raise _no_wake_address()
    broadcast = asked.get("broadcast", [EVERYBODY])[0]
    interface = asked.get("interface", [""])[0]
    port = asked.get("port", [str(WAKE_PORT)])[0]
    try:
        ipaddress.IPv4Address(broadcast)
    except ValueError:
        raise _no_wake_address() from None
    if interface and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", interface):
        raise _no_wake_address()
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise _no_wake_address()
    return WakeAddress(mac, broadcast, int(port), interface)


def address_check(url: str) -> str:
    """The address, of whatever protocol, in the form in which it is kept; raises Invalid for none."""
    if not is_wake_only(url):
        bmc_address(url)
        return url
    wake = wake_address(url)
    query = "?" + url.split("?", 1)[1] if "?" in url else ""
    return f"wol:{wake.mac}{query}"


def bmc_address(url: str) -> BmcAddress:
    """The parts of https://10.0.0.7, or of ipmi://10.0.0.7 with an optional port and ?cipher=3; raises Invalid."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # brackets that are not closed, a port above 65,535
        raise _wrong() from None
    is_plain = not (parts.username or parts.password or parts.fragment) and not any(c.isspace() for c in url)
    if not host or host.startswith("-") or port == 0 or not is_plain:
        raise _wrong()
    if parts.scheme in ("http", "https") and not parts.query:
        return BmcAddress(parts.scheme, host, port)
    if parts.scheme == "ipmi" and parts.path in ("", "/"):
        return BmcAddress("ipmi", host, port or IPMI_PORT, _cipher(parts.query))
    raise _wrong()


def _cipher(query: str) -> int | None:
    if not query:
        return None
    asked = parse_qs(query, keep_blank_values=True)
    value = asked.get("cipher", [""])[0]
    if set(asked) != {"cipher"} or not value.isdecimal() or int(value[:3]) > CIPHER_MOST:
        raise _wrong()
    return int(value[:3])


def _wrong() -> Invalid:
    return Invalid(
        "The BMC's address is a URL such as https://10.0.0.7 for Redfish, ipmi://10.0.0.7 for IPMI, or"
        " wol:02:00:00:aa:bb:cc for Wake-on-LAN. Correct it.",
        field="bmc_url",
    )


def _no_wake_address() -> Invalid:
    return Invalid(
        "Wake-on-LAN needs the address of the host's network card, such as wol:02:00:00:aa:bb:cc, with"
        " ?broadcast=10.0.0.255 or ?interface=eth1 where the site's plane is in several networks. Correct it.",
        field="bmc_url",
    )
