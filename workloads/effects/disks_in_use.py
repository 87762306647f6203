"""Whether a disk's file still belongs to a VM of this host."""

from __future__ import annotations

import posixpath

from hosts.errors import Refused
from hosts.plane.context import PlaneContext


def refuse_disks_in_use(context: PlaneContext, paths: list[str]) -> None:
    """Raises Refused when a VM defined on this host, running or not, has one of the disks."""
    for workload in context.drivers.hypervisor.list_domains():
        for disk in workload.disks:
            if disk.path in paths:
                name = posixpath.basename(disk.path)
                raise Refused(f"The disk {name} belongs to the VM {workload.name} here.", disk.path)
