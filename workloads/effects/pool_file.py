"""Removing a file that nobody owns from one of the host's pools."""

from __future__ import annotations

from typing import Any

from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import path_check
from workloads.effects.disks_in_use import refuse_disks_in_use
from workloads.effects.drivers import volumes

Data = dict[str, Any]


@effect("pool.file_remove", lane="long")
def pool_file_remove(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none, the file is gone; Refused while a VM defined here has it, or a QEMU anywhere holds it open."""
    path = path_check(arguments["path"])
    refuse_disks_in_use(context, [path])
    volumes(context).remove_unowned(path)
    return {}
