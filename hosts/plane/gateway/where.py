"""Where the gateway listens, as its process writes it down and hostd's parent reports it."""

from __future__ import annotations

import json

from hosts.plane.state_file import StateFile

_FLAG = "console_gateway"


def where_write(state: StateFile, address: str, port: int, sha256: str) -> None:
    state.flag_set(_FLAG, json.dumps({"address": address, "port": port, "sha256": sha256}))


def where_read(state: StateFile) -> dict[str, object]:
    """{"address", "port", "sha256"} of the certificate; empty before the gateway's first start."""
    try:
        where = json.loads(state.flag(_FLAG) or "{}")
    except ValueError:
        return {}
    return where if isinstance(where, dict) else {}
