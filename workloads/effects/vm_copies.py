"""Effects that copy the disks of a VM that is off: into another VM, or out to the control plane."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import Refused, StowageError
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.base import DescribedDisk
from workloads.drivers.specs import DiskSpec, VmSpec, uuid_check
from workloads.effects.drivers import machines, volumes
from workloads.effects.sending import file_send

Data = dict[str, Any]


@effect("vm.disks_copy", lane="long", brings_work=True)
def vm_disks_copy(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Makes a VM's disks: those in `copies` (target by target) from the VM `source`, the others empty.

    Undo: vm.volumes_remove. What this run made is removed again when it fails half-way.
    """
    spec, copies = VmSpec.from_data(arguments["spec"]), dict(arguments["copies"])
    source = uuid_check(arguments["source"])
    files = volumes(context)
    made: list[DiskSpec] = []
    try:
        for disk in spec.disks:
            progress.update(f"making the disk {disk.target}", at_once=True)
            origin = copies.get(disk.target)
            if origin is None:
                is_new = files.ensure(disk, spec.uuid, None, progress)
            else:
                is_new = files.copy(disk, spec.uuid, _disk_at_rest(context, source, str(origin)), progress)
            if is_new:
                made.append(disk)
    except StowageError:
        for disk in made:
            files.remove(disk.path, spec.uuid)
        raise
    return {"created": [disk.path for disk in made], "paths": [disk.path for disk in spec.disks]}


@effect("vm.disk_send", lane="long")
def vm_disk_send(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Leaves the disk's content with the control plane as one compressed qcow2 file.

    Undo: none; the control plane drops the bytes with the operation, and the host keeps no copy.
    """
    uuid = uuid_check(arguments["uuid"])
    disk = _disk_at_rest(context, uuid, str(arguments["target"]))
    copy = Path(context.config.image_cache) / f"{uuid}-{disk.target}.sending"
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        progress.update(f"copying the disk {disk.target}", at_once=True)
        volumes(context).flatten(disk, copy, progress)
        return file_send(context, copy, str(arguments["blob"]), f"the disk {disk.target}", progress)
    finally:
        with suppress(FileNotFoundError):
            copy.unlink()


def _disk_at_rest(context: PlaneContext, uuid: str, target: str) -> DescribedDisk:
    """The disk of a VM that is off, looked at anew for each: it may have been started since the last."""
    known = {disk.target: disk for disk in machines(context).off_check(uuid).disks}
    disk = known.get(target)
    if disk is None or disk.read_only:
        raise Refused("The VM has no such disk that could be copied.", target[:20])
    return disk
