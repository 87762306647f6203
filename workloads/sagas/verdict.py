"""Where a VM is after a migration, whatever the migrate call returned.

The call's own answer is not believed (pitfalls M7, M8: it fails while the VM runs on the destination). Both sides
are asked, state and reason, and the two answers are judged here:

    source                     destination                verdict
    ------------------------   ------------------------   ---------------------------------------------------------
    absent or not active       paused, arrived            moved: the normal end
    absent or not active       running                    moved: somebody resumed it already
    active, not running        paused, arrived            moved: the Finish reply was lost on shared storage (M7);
                                                          the source's copy is cut off before the destination runs
    running                    absent or not active       stayed (M3, M4, M6)
    running                    paused                     stayed: the reply was lost with copied disks (M9); the
                                                          destination's copy is removed, its disks kept in quarantine
    paused for another reason  absent or not active       stayed, paused as it is
    not active                 absent or not active       stayed: crashed during the move (M11); nothing duplicated
    migrating                  anything not running       not over yet: ask again (M5: both paused)
    any                        migrating                  not over yet: ask again
    running                    running                    doubled: a person must choose
    active, not running        running                    doubled as well: the source may run on
    absent                     absent                     lost: a person must look

"Arrived" is paused for any reason but "migrating". Pure: no database, no clock.
"""

from __future__ import annotations

from typing import Any, Literal

Verdict = Literal["moved", "stayed", "again", "doubled", "lost"]
_ACTIVE = ("running", "paused", "migrating", "starting")


def verdict_of(source: dict[str, Any], target: dict[str, Any]) -> Verdict:
    """The verdict on two answers of vm.locate ({"present", "state", "reason"})."""
    if _is_on_its_way(target):
        return "again"
    if _runs(target):
        return "doubled" if _is_active(source) else "moved"
    if _runs(source):
        return "stayed"
    if _has_arrived(target):
        return "moved"
    if _is_on_its_way(source):
        return "again"
    if not source["present"] and not target["present"]:
        return "lost"
    return "stayed" if source["present"] else "moved"


def is_active(place: dict[str, Any]) -> bool:
    """Whether the place holds a VM that is running or could run on by itself."""
    return bool(place["present"]) and place["state"] in (*_ACTIVE, "unknown")


_is_active = is_active


def _runs(place: dict[str, Any]) -> bool:
    return bool(place["present"]) and place["state"] in ("running", "starting")


def _has_arrived(place: dict[str, Any]) -> bool:
    return bool(place["present"]) and place["state"] == "paused" and not _is_migrating(place)


def _is_on_its_way(place: dict[str, Any]) -> bool:
    return bool(place["present"]) and (place["state"] in ("migrating", "unknown") or _is_migrating(place))


def _is_migrating(place: dict[str, Any]) -> bool:
    return place["state"] in ("paused", "migrating") and "migrating" in (place.get("reason") or "")
