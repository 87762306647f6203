"""The table of pitfalls M7 to M11: where a VM is, from what both sides say."""

from __future__ import annotations

import itertools

import pytest

from workloads.sagas.verdict import verdict_of

ABSENT = {"present": False, "state": "unknown", "reason": ""}
RUNNING = {"present": True, "state": "running", "reason": "running (booted)"}
CANCELED = {"present": True, "state": "running", "reason": "running (migration canceled)"}
MIGRATING = {"present": True, "state": "migrating", "reason": "paused (migrating)"}
ARRIVED = {"present": True, "state": "paused", "reason": "paused (user)"}
PAUSED_BY_DISK = {"present": True, "state": "paused", "reason": "paused (I/O error)"}
OFF = {"present": True, "state": "stopped", "reason": "shut off (migrated)"}
CRASHED = {"present": True, "state": "stopped", "reason": "shut off (crashed)"}
UNKNOWN = {"present": True, "state": "unknown", "reason": "no state"}
EVERY = [ABSENT, RUNNING, CANCELED, MIGRATING, ARRIVED, PAUSED_BY_DISK, OFF, CRASHED, UNKNOWN]


@pytest.mark.parametrize(
    ("source", "target", "verdict"),
    [
        (ABSENT, ARRIVED, "moved"),  # the normal end
        (OFF, ARRIVED, "moved"),  # its definition was left (M13)
        (ABSENT, RUNNING, "moved"),  # somebody resumed it
        (MIGRATING, ARRIVED, "moved"),  # the Finish reply was lost, shared disk (M7)
        (RUNNING, ABSENT, "stayed"),  # refused, or a daemon died in pre-copy (M3, M4, M6)
        (RUNNING, OFF, "stayed"),
        (CANCELED, ARRIVED, "stayed"),  # the Finish reply was lost, copied disks (M9)
        (PAUSED_BY_DISK, ABSENT, "stayed"),
        (CRASHED, ABSENT, "stayed"),  # the source's QEMU died (M11): down, but not doubled
        (MIGRATING, ABSENT, "again"),
        (MIGRATING, MIGRATING, "again"),  # paused on both (M5)
        (RUNNING, MIGRATING, "again"),
        (ABSENT, UNKNOWN, "again"),
        (RUNNING, RUNNING, "doubled"),  # what PAUSED prevents (M8)
        (ARRIVED, RUNNING, "doubled"),
        (ABSENT, ABSENT, "lost"),
    ],
)
def test_the_two_answers_give_the_verdict(source, target, verdict):
    assert verdict_of(source, target) == verdict


def test_no_two_answers_lead_to_a_move_while_the_source_runs():
    for source, target in itertools.product(EVERY, EVERY):
        if source["state"] == "running":
            assert verdict_of(source, target) != "moved", (source, target)


def test_a_vm_that_runs_on_the_destination_is_never_taken_for_one_that_stayed():
    for source, target in itertools.product(EVERY, EVERY):
        if target["state"] == "running":
            assert verdict_of(source, target) in ("moved", "doubled"), (source, target)
