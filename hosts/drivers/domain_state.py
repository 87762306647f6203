"""A domain's state with its reason, in the words that operators read.

The state alone is never enough: "running (post-copy failed)" is a dead guest, and "paused (migrating)" and
"paused (user)" want opposite answers (pitfalls M13, M14). Numbers as in virDomainState and its reasons.
"""

from __future__ import annotations

from hosts.drivers.base import WorkloadState

_RUNNING = (
    "unknown",
    "booted",
    "migrated",
    "restored",
    "from snapshot",
    "unpaused",
    "migration canceled",
    "save canceled",
    "wakeup",
    "crashed",
    "post-copy",
    "post-copy failed",
)
_PAUSED = (
    "unknown",
    "user",
    "migrating",
    "saving",
    "dumping",
    "I/O error",
    "watchdog",
    "from snapshot",
    "shutting down",
    "creating snapshot",
    "crashed",
    "starting up",
    "post-copy",
    "post-copy failed",
    "api error",
)
_SHUT_OFF = (
    "unknown",
    "shutdown",
    "destroyed",
    "crashed",
    "migrated",
    "saved",
    "failed",
    "from snapshot",
    "daemon",
)
_NAMES = {
    0: ("no state", ()),
    1: ("running", _RUNNING),
    2: ("running", _RUNNING),
    3: ("paused", _PAUSED),
    4: ("shutting down", ()),
    5: ("shut off", _SHUT_OFF),
    6: ("crashed", ("unknown", "panicked")),
    7: ("suspended by the guest", ()),
}
_STATES: dict[int, WorkloadState] = {
    0: "unknown",
    1: "running",
    2: "running",
    3: "paused",
    4: "running",
    5: "stopped",
    6: "crashed",
    7: "paused",
}
_EXCEPTIONS: dict[tuple[int, str], WorkloadState] = {
    (1, "post-copy"): "migrating",
    (1, "post-copy failed"): "crashed",
    (3, "migrating"): "migrating",
    (3, "post-copy"): "migrating",
    (3, "post-copy failed"): "crashed",
    (3, "crashed"): "crashed",
    (3, "starting up"): "starting",
    (5, "crashed"): "crashed",
}


def domain_state(state: int, reason: int) -> tuple[WorkloadState, str]:
    """Our state and the reason text of libvirt's two numbers: (3, 1) is ("paused", "paused (user)")."""
    name, reasons = _NAMES.get(state, ("no state", ()))
    word = reasons[reason] if 0 <= reason < len(reasons) else "unknown"
    ours = _EXCEPTIONS.get((state, word), _STATES.get(state, "unknown"))
    return ours, name if word == "unknown" else f"{name} ({word})"
