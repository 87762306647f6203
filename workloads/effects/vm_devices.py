"""Effects that give a VM a disk or a network card, or take one away, also while it runs."""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import DiskSpec, NicSpec, uuid_check
from workloads.effects.drivers import machines, volumes

Data = dict[str, Any]


@effect("vm.disk_make", lane="long", brings_work=True)
def vm_disk_make(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """An empty file for the disk. Undo: vm.disk_unmake."""
    uuid, disk = uuid_check(arguments["uuid"]), DiskSpec.from_data(arguments["disk"])
    return {"created": volumes(context).ensure(disk, uuid, None, progress)}


@effect("vm.disk_unmake", lane="long")
def vm_disk_unmake(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Removes the file of a disk that the VM does not have; Refused while it has it, or another VM uses it."""
    uuid, disk = uuid_check(arguments["uuid"]), DiskSpec.from_data(arguments["disk"])
    if machines(context).locate(uuid).present and disk.path in machines(context).disk_paths(uuid):
        raise Refused("The VM still has the disk; it was left as it is.", disk.path)
    volumes(context).remove(disk.path, uuid)
    return {}


@effect("vm.disk_attach", lane="short", brings_work=True)
def vm_disk_attach(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.disk_detach."""
    uuid, disk = uuid_check(arguments["uuid"]), DiskSpec.from_data(arguments["disk"])
    if volumes(context).pool_of(disk.path) is None or uuid not in disk.path.rpartition("/")[2]:
        raise Refused("Only a disk of the VM's own, in one of this host's pools, is given to it.", disk.path)
    machines(context).disk_attach(uuid, disk)
    return {}


@effect("vm.disk_detach", lane="short")
def vm_disk_detach(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.disk_attach. Raises TimedOut when the guest holds on to it."""
    uuid, disk = uuid_check(arguments["uuid"]), DiskSpec.from_data(arguments["disk"])
    machines(context).disk_detach(uuid, disk)
    return {}


@effect("vm.nic_attach", lane="short", brings_work=True)
def vm_nic_attach(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.nic_detach."""
    machines(context).nic_attach(uuid_check(arguments["uuid"]), NicSpec.from_data(arguments["nic"]))
    return {}


@effect("vm.nic_detach", lane="short")
def vm_nic_detach(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.nic_attach. Raises TimedOut when the guest holds on to it."""
    machines(context).nic_detach(uuid_check(arguments["uuid"]), NicSpec.from_data(arguments["nic"]))
    return {}
