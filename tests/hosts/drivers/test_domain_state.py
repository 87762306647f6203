"""A domain's state is never told without its reason."""

from __future__ import annotations

import libvirt
import pytest

from hosts.drivers.domain_state import domain_state

CASES = [
    ("RUNNING", "RUNNING_BOOTED", "running", "running (booted)"),
    ("RUNNING", "RUNNING_POSTCOPY", "migrating", "running (post-copy)"),
    ("RUNNING", "RUNNING_POSTCOPY_FAILED", "crashed", "running (post-copy failed)"),
    ("BLOCKED", "BLOCKED_UNKNOWN", "running", "running"),
    ("PAUSED", "PAUSED_USER", "paused", "paused (user)"),
    ("PAUSED", "PAUSED_MIGRATION", "migrating", "paused (migrating)"),
    ("PAUSED", "PAUSED_IOERROR", "paused", "paused (I/O error)"),
    ("PAUSED", "PAUSED_POSTCOPY_FAILED", "crashed", "paused (post-copy failed)"),
    ("PAUSED", "PAUSED_STARTING_UP", "starting", "paused (starting up)"),
    ("SHUTDOWN", "SHUTDOWN_USER", "running", "shutting down"),
    ("SHUTOFF", "SHUTOFF_SHUTDOWN", "stopped", "shut off (shutdown)"),
    ("SHUTOFF", "SHUTOFF_CRASHED", "crashed", "shut off (crashed)"),
    ("SHUTOFF", "SHUTOFF_MIGRATED", "stopped", "shut off (migrated)"),
    ("CRASHED", "CRASHED_PANICKED", "crashed", "crashed (panicked)"),
    ("PMSUSPENDED", "PMSUSPENDED_UNKNOWN", "paused", "suspended by the guest"),
    ("NOSTATE", "NOSTATE_UNKNOWN", "unknown", "no state"),
]


@pytest.mark.parametrize(("state", "reason", "ours", "text"), CASES)
def test_a_state_and_its_reason_become_ours(state: str, reason: str, ours: str, text: str) -> None:
    numbers = getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{reason}")

    assert domain_state(*numbers) == (ours, text)


def test_numbers_of_a_libvirt_yet_to_come_are_unknown_and_not_an_error() -> None:
    assert domain_state(99, 1) == ("unknown", "no state")
    assert domain_state(1, 99) == ("running", "running")
