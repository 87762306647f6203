"""The drivers that workload effects use, made once for each process from the plane's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hosts.plane.pools import pools_read
from hosts.units import GIB

if TYPE_CHECKING:
    from hosts.drivers.docker_host import DockerHost
    from hosts.drivers.libvirt_host import LibvirtHost
    from hosts.plane.config import PlaneConfig
    from hosts.plane.context import PlaneContext
    from workloads.drivers.base import BackupFolders, Containers, ContainerVolumes, VirtualMachines, Volumes


def machines(context: PlaneContext) -> VirtualMachines:
    """The host's VMs, over a hypervisor that answers; raises Unreachable."""
    hypervisor = cast("LibvirtHost", context.drivers.hypervisor)

    def make(config: PlaneConfig) -> VirtualMachines:
        from workloads.drivers.libvirt_vm import LibvirtMachines

        limit_mib = config.declared.memory_mib if config.declared else None
        return LibvirtMachines(hypervisor, memory_limit_mib=limit_mib)

    return context.drivers.get("machines", make)


def containers(context: PlaneContext) -> Containers:
    """The host's containers, over an engine that answers; raises Unreachable."""
    engine = cast("DockerHost", context.drivers.engine)

    def make(config: PlaneConfig) -> Containers:
        from workloads.drivers.docker_container import DockerContainers

        return DockerContainers(engine, bind_paths=config.bind_paths)

    return context.drivers.get("containers", make)


def container_volumes(context: PlaneContext) -> ContainerVolumes:
    """The named volumes of the host's containers, over an engine that answers; raises Unreachable."""
    engine = cast("DockerHost", context.drivers.engine)

    def make(config: PlaneConfig) -> ContainerVolumes:
        from workloads.drivers.docker_volumes import DockerVolumes

        return DockerVolumes(engine)

    return context.drivers.get("container_volumes", make)


def backups(context: PlaneContext) -> BackupFolders:
    """The folders of the host that backups lie in."""

    def make(config: PlaneConfig) -> BackupFolders:
        from workloads.drivers.backup_folders import HostBackupFolders

        return HostBackupFolders(config.backup_paths, files)

    files = volumes(context)  # before: drivers are made one at a time
    return context.drivers.get("backups", make)


def volumes(context: PlaneContext) -> Volumes:
    """The files of the host's VMs."""

    def make(config: PlaneConfig) -> Volumes:
        from workloads.drivers.volumes import PoolVolumes

        def room(folder: str) -> int:
            free = [pool.free_gib for pool in pools_read(config) if pool.path.rstrip("/") == folder]
            return int(free[0] * GIB) if free else 0

        return PoolVolumes({pool.name: pool.path for pool in config.pools}, config.image_cache, room)

    return context.drivers.get("volumes", make)
