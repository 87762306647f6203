"""Effects that let a container make room for its successor on the same host, and come back where that one fails."""

from __future__ import annotations

from typing import Any

from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import name_check, uuid_check
from workloads.effects.drivers import containers

Data = dict[str, Any]


@effect("container.image_used", lane="short", is_exclusive=False)
def container_image_used(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """The engine's id of the image that the container runs from, whatever the image's name means by now."""
    return {"image_id": containers(context).image_used(uuid_check(arguments["uuid"]))}


@effect("container.set_aside", lane="short")
def container_set_aside(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.take_back."""
    containers(context).set_aside(uuid_check(arguments["uuid"]))
    return {}


@effect("container.take_back", lane="short")
def container_take_back(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    containers(context).take_back(uuid_check(arguments["uuid"]), name_check(arguments["name"], "container"))
    return {}


@effect("container.drop_aside", lane="short")
def container_drop_aside(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; its successor is well and has its place."""
    containers(context).drop_aside(uuid_check(arguments["uuid"]))
    return {}
