"""A verb that takes its time, for the tests of real lanes."""

from __future__ import annotations

from typing import Any

from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress


@effect("test.slow", lane="long")
def slow(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    progress.wait(arguments.get("seconds", 15))
    return {}
