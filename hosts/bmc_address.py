"""The address of a management controller, as an operator writes it: which protocol, where, and nothing else in it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from hosts.errors import Invalid

IPMI_PORT = 623
CIPHER_MOST = 17  # of the suites that IPMI 2.0 names


@dataclass(frozen=True)
class BmcAddress:
    """`scheme` is "http" or "https" for Redfish, or "ipmi". `cipher` is IPMI's suite; None: what the two agree on."""

    scheme: str
    host: str
    port: int | None
    cipher: int | None = None


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
        "The BMC's address is a URL such as https://10.0.0.7 for Redfish, or ipmi://10.0.0.7 for IPMI. Correct it.",
        field="bmc_url",
    )
