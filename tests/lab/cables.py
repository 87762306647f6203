"""Pulling the cables of lab hosts out of the lab's switch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosts.drivers import netlink
from hosts.lab.namespaces import in_netns
from tests.stack import Stack

MANAGEMENT, SECOND = "m", "x"  # the host's eth0 and eth1, by the first letter of their ports on the switch


@contextmanager
def cable_pulled(stack: Stack, host: str, cable: str) -> Iterator[None]:
    """The host's cable hangs loose during the block."""
    port = f"{cable}-{host}"
    _port_set(stack, port, up=False)
    try:
        yield
    finally:
        _port_set(stack, port, up=True)


def _port_set(stack: Stack, port: str, *, up: bool) -> None:
    descriptor = _switch(stack.lab["supervisor_pid"])
    try:
        in_netns(descriptor, lambda: netlink.link_set(port, up=up))
    finally:
        os.close(descriptor)


def _switch(supervisor_pid: int) -> int:
    """A descriptor of the switch's network namespace, which the lab's supervisor holds open."""
    held = (
        entry for entry in Path(f"/proc/{supervisor_pid}/fd").iterdir() if str(os.readlink(entry)).startswith("net:")
    )
    return os.open(next(held), os.O_RDONLY | os.O_CLOEXEC)
