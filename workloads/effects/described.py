"""A VM's description completed with what only the plane knows: the pools that its disks lie in."""

from __future__ import annotations

from dataclasses import replace

from hosts.plane.context import PlaneContext
from workloads.drivers.base import DescribedDisk, VmDescription
from workloads.effects.drivers import machines, volumes


def described(context: PlaneContext, uuid: str) -> VmDescription:
    """All that another host must know to judge the VM."""
    vm = machines(context).describe(uuid)
    return replace(vm, disks=tuple(_with_pool(context, disk) for disk in vm.disks))


def _with_pool(context: PlaneContext, disk: DescribedDisk) -> DescribedDisk:
    pool = volumes(context).pool_of(disk.path)
    return replace(disk, pool=pool[0], pool_id=pool[1] or None) if pool else disk
