"""The sweep: what lost messages left undone is found here, every 15 seconds."""

from __future__ import annotations

from hosts.operations.runner import Engine


def operations_sweep() -> int:
    """Sends again, gives up and advances what must be; how many operations are under way."""
    return Engine().sweep()
