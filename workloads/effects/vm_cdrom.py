"""Effects on what lies in a VM's CD-ROM drive. ISOs come from the library into the host's cache, and stay there."""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import ISO, ImageSource, path_check, uuid_check
from workloads.effects.drivers import machines, volumes
from workloads.effects.image import iso_ready

Data = dict[str, Any]


@effect("vm.iso_bring", lane="long", brings_work=True)
def vm_iso_bring(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; a cached ISO is harmless and serves the next VM."""
    uuid_check(arguments["uuid"])
    return {"path": iso_ready(context, ImageSource.from_data(arguments["iso"], (ISO,)), progress)}


@effect("vm.iso_insert", lane="long", brings_work=True)
def vm_iso_insert(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.cdrom_put with what was there before."""
    uuid = uuid_check(arguments["uuid"])
    path = iso_ready(context, ImageSource.from_data(arguments["iso"], (ISO,)), progress)
    machines(context).cdrom_set(uuid, path)
    return {"path": path}


@effect("vm.cdrom_put", lane="long")
def vm_cdrom_put(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """An ISO that the cache has, "" for an empty drive, None for no drive. Undo: the same with what was there."""
    uuid, path = uuid_check(arguments["uuid"]), arguments.get("path")
    if path:
        path = path_check(path)
        if not volumes(context).is_iso(path):
            raise Refused("Only an ISO of the host's image cache is put into a drive.", path)
    machines(context).cdrom_set(uuid, path)
    return {}
