"""Free TCP ports for the embedded parts."""

from __future__ import annotations

import errno
import socket

from hosts.errors import Refused

_TRIED = 50


def port_is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of our own last run is no obstacle
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def port_pick(wanted: int, taken: set[int], address: str = "127.0.0.1") -> int:
    """The wanted port, or the next free one above it; added to `taken`, whose ports are passed over.

    Raises Refused when none of the next 50 is free.
    """
    for port in range(wanted, min(wanted + _TRIED, 65536)):
        if port not in taken and port_is_free(port, address):
            taken.add(port)
            return port
    last = wanted + _TRIED - 1
    raise Refused(f"No TCP port from {wanted} to {last} is free on {address}: give another with PORT=.")
