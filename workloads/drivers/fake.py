"""The verbs of VMs, containers and volumes over the data center in memory (`hosts.drivers.fake`).

Faults are planned on the world by the names that the calls below carry ("vm.start", "volume.ensure" ...).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from hosts.drivers.base import WorkloadState
from hosts.drivers.fake import (
    ACTIVE,
    FakeBmc,
    FakeContainer,
    FakeDataCenter,
    FakeDisk,
    FakeDomain,
    FakeEngine,
    FakeFile,
    FakeHost,
    FakeHypervisor,
    FakeSnapshot,
    FakeVolume,
)
from hosts.errors import NotFound, Refused, Rejected
from hosts.guest import CONNECTED
from hosts.units import gib_to_bytes
from workloads.drivers.base import (
    BackupOrder,
    BackupProgress,
    DescribedDisk,
    DescribedSnapshot,
    Location,
    MigrationOrder,
    MigrationProgress,
    MigrationResult,
    RegistryLogin,
    Resized,
    Running,
    VmDescription,
)
from workloads.drivers.fake_backups import FakeBackupFolders
from workloads.drivers.fake_volumes import FakeContainerVolumes
from workloads.drivers.specs import ContainerSpec, DiskSpec, ImageSource, NicSpec, VmSpec
from workloads.drivers.volume_spec import names_of

IMAGE_CACHE = "/var/lib/stowage/images"


class FakeMachines(FakeHypervisor):
    """A fake hypervisor that also speaks the verbs of VMs."""

    def locate(self, uuid: str) -> Location:
        with self.world.call(self.host, "vm.locate"):
            domain = self.host.domains.get(uuid)
            if domain is None:
                return Location(False)
            return Location(True, domain.state, domain.reason, domain.persistent, domain.generation, domain.operation)

    def describe(self, uuid: str) -> VmDescription:
        with self.world.call(self.host, "vm.describe"):
            domain = self.host.domain(uuid)
            disks = tuple(DescribedDisk(d.target, d.path, d.format, d.size_bytes, d.size_bytes) for d in domain.disks)
            if domain.cdrom:
                disks += (DescribedDisk("sda", domain.cdrom, "raw", 1, 1, read_only=True),)
            return VmDescription(
                uuid=uuid,
                name=domain.name,
                xml=f"<domain><uuid>{uuid}</uuid></domain>",
                vcpus=domain.vcpus,
                memory_mib=domain.memory_mib,
                machine=domain.machine,
                accelerator=domain.accelerator,
                disks=disks,
                bridges=tuple(domain.bridges),
                serial_log=domain.serial_log,
                snapshots=len(domain.snapshots),
                generation=domain.generation,
                labels=dict(domain.labels),
            )

    def define(self, spec: VmSpec, accelerator: str) -> None:
        with self.world.call(self.host, "vm.define"):
            for other in self.host.domains.values():
                if other.name == spec.name and other.uuid != spec.uuid:
                    raise Refused(f"The host already has a VM named {spec.name}. Choose another name.")
            known = self.host.domains.get(spec.uuid)
            if known and not known.managed:
                raise Refused(f"The VM {known.name} was not made by Stowage; it is left as it is.")
            if known:
                return
            disks = [FakeDisk(d.target, d.path, d.format, gib_to_bytes(d.size_gib)) for d in spec.disks]
            self.host.domains[spec.uuid] = FakeDomain(
                spec.uuid,
                spec.name,
                spec.vcpus,
                spec.memory_mib,
                disks,
                [nic.bridge for nic in spec.nics],
                generation=spec.generation,
                operation=spec.operation,
                labels=dict(spec.labels),
                serial_log=spec.serial_log,
                machine=spec.machine,
                accelerator=accelerator,
                cdrom=spec.cdrom,
            )
            self.world.changed(self.host.name, spec.uuid)

    def undefine(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.undefine"):
            domain = self.host.domains.get(uuid)
            if domain is None:
                return
            if domain.state in ACTIVE:
                raise Refused(f"The VM {domain.name} is still {domain.state}. Stop it first.")
            del self.host.domains[uuid]
            self.world.changed(self.host.name, uuid)

    def start(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.start"):
            domain = self.host.domain(uuid)
            if domain.state in ACTIVE:
                return
            if domain.memory_mib > self.host.memory_free_mib():
                raise Refused(f"The host {self.host.name} has too little memory for {domain.name}.")
            if domain.next_size:
                (domain.vcpus, domain.memory_mib), domain.next_size = domain.next_size, None
            domain.boots += 1
            self._set(domain, "running", "running (booted)")

    def stop(self, uuid: str, *, force: bool, timeout_s: float) -> str:
        with self.world.call(self.host, "vm.stop"):
            domain = self.host.domains.get(uuid)
            if domain and domain.state in ACTIVE:
                self._set(domain, "stopped", "shut off (shutdown)")
                return "agent" if domain.agent == CONNECTED else "ACPI"
            return ""

    def destroy(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.destroy"):
            domain = self.host.domains.get(uuid)
            if domain and domain.state in ACTIVE:
                self._set(domain, "stopped", "shut off (destroyed)")
                if not domain.persistent:
                    del self.host.domains[uuid]

    def resume(self, uuid: str, generation: int) -> None:
        with self.world.call(self.host, "vm.resume"):
            domain = self.host.domain(uuid)
            if domain.generation is not None and generation < domain.generation:
                raise Refused(f"The VM {domain.name} has a newer owner; this order to resume it is stale.")
            if domain.state == "paused":
                self._set(domain, "running", "running (unpaused)")

    def pause(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.pause"):
            domain = self.host.domain(uuid)
            if domain.state == "running":
                self._set(domain, "paused", "paused (user)")

    def reset(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.reset"):
            domain = self.host.domain(uuid)
            if domain.state not in ACTIVE:
                raise Refused(f"The VM {domain.name} is off. Start it instead.")
            domain.boots += 1

    def off_check(self, uuid: str) -> VmDescription:
        with self.world.call(self.host, "vm.off_check"):
            domain = self.host.domain(uuid)
            if domain.state in ACTIVE:
                raise Refused(f"The VM {domain.name} is on; its disks change while they are read. Stop it first.")
        return self.describe(uuid)

    def rename(self, uuid: str, name: str) -> None:
        with self.world.call(self.host, "vm.rename"):
            domain = self.host.domain(uuid)
            if any(other.name == name and other.uuid != uuid for other in self.host.domains.values()):
                raise Refused(f"The host already has a VM named {name}. Choose another name.")
            if domain.state in ACTIVE:
                raise Refused(f"The VM {domain.name} is on; libvirt renames it only while it is off.")
            domain.name = name
            self.world.changed(self.host.name, uuid)

    def save(self, uuid: str) -> None:
        with self.world.call(self.host, "vm.save"):
            domain = self.host.domain(uuid)
            if domain.state in ACTIVE:
                self._set(domain, "stopped", "shut off (saved)")

    def resize(self, uuid: str, vcpus: int, memory_mib: int) -> Resized:
        with self.world.call(self.host, "vm.resize"):
            domain = self.host.domain(uuid)
            is_on = domain.state in ACTIVE
            cpus_fit = not is_on or vcpus <= domain.vcpus_most
            memory_fits = not is_on or memory_mib <= domain.memory_most_mib
            domain.vcpus = vcpus if cpus_fit else domain.vcpus
            domain.memory_mib = memory_mib if memory_fits else domain.memory_mib
            is_all = cpus_fit and memory_fits
            domain.next_size = (
                None if is_all or (vcpus, memory_mib) == (domain.vcpus, domain.memory_mib) else (vcpus, memory_mib)
            )
            why = "It was started with less room."
            return Resized(domain.vcpus, domain.memory_mib, "" if cpus_fit else why, "" if memory_fits else why)

    def next_size(self, uuid: str) -> tuple[int, int]:
        with self.world.call(self.host, "vm.next_size"):
            domain = self.host.domain(uuid)
            return domain.next_size or (domain.vcpus, domain.memory_mib)

    def disk_paths(self, uuid: str) -> set[str]:
        return {disk.path for disk in self.host.domain(uuid).disks}

    def disk_attach(self, uuid: str, disk: DiskSpec) -> None:
        with self.world.call(self.host, "vm.disk_attach"):
            disks = self.host.domain(uuid).disks
            if all(known.path != disk.path for known in disks):
                disks.append(FakeDisk(disk.target, disk.path, disk.format, gib_to_bytes(disk.size_gib)))

    def disk_detach(self, uuid: str, disk: DiskSpec) -> None:
        with self.world.call(self.host, "vm.disk_detach"):
            domain = self.host.domain(uuid)
            domain.disks = [known for known in domain.disks if known.path != disk.path]

    def nic_attach(self, uuid: str, nic: NicSpec) -> None:
        with self.world.call(self.host, "vm.nic_attach"):
            nics = self.host.domain(uuid).nics
            if nic.mac not in nics:
                nics.append(nic.mac)

    def nic_detach(self, uuid: str, nic: NicSpec) -> None:
        with self.world.call(self.host, "vm.nic_detach"):
            nics = self.host.domain(uuid).nics
            if nic.mac in nics:
                nics.remove(nic.mac)

    def cdrom_set(self, uuid: str, path: str | None) -> None:
        with self.world.call(self.host, "vm.cdrom_set"):
            domain = self.host.domain(uuid)
            if domain.state in ACTIVE and domain.cdrom is None and path is not None:
                raise Refused(f"The VM {domain.name} has no CD-ROM drive.")
            domain.cdrom = path

    def nvram_forget(self, uuid: str) -> None:
        pass

    def has_said(self, uuid: str, text: str) -> bool:
        return True

    def memory_used_mib(self, uuid: str) -> float:
        with self.world.call(self.host, "vm.memory_used_mib"):
            return self.host.domain(uuid).memory_mib / 2

    def disk_grow(self, uuid: str, path: str, size_bytes: int) -> bool:
        with self.world.call(self.host, "vm.disk_grow"):
            domain = self.host.domain(uuid)
            if domain.state not in ACTIVE:
                return False
            self.host.files_for(path)[path].size_bytes = size_bytes
            return True

    def snapshots(self, uuid: str) -> tuple[DescribedSnapshot, ...]:
        with self.world.call(self.host, "vm.snapshots"):
            domain = self.host.domain(uuid)
            return tuple(
                DescribedSnapshot(s.name, s.parent, number, s.state in ACTIVE, s is domain.snapshots[-1], s.operation)
                for number, s in enumerate(domain.snapshots, 1_700_000_000)
            )

    def snapshot_take(self, uuid: str, name: str, operation: str) -> None:
        with self.world.call(self.host, "vm.snapshot_take"):
            domain = self.host.domain(uuid)
            for known in domain.snapshots:
                if known.name == name:
                    if known.operation == operation:
                        return
                    raise Refused(f"The VM {domain.name} has a snapshot {name} already. Choose another name.")
            parent = domain.snapshots[-1].name if domain.snapshots else ""
            domain.snapshots.append(FakeSnapshot(name, parent, domain.state, operation))

    def snapshot_revert(self, uuid: str, name: str) -> None:
        with self.world.call(self.host, "vm.snapshot_revert"):
            domain = self.host.domain(uuid)
            found = [snapshot for snapshot in domain.snapshots if snapshot.name == name]
            if not found:
                raise NotFound(f"The VM {domain.name} has no snapshot {name} on its host.")
            domain.generation, domain.operation = 0, found[0].operation  # it says again what it said then
            self._set(domain, found[0].state, f"{found[0].state} (from snapshot)")

    def snapshot_delete(self, uuid: str, name: str, operation: str = "") -> None:
        with self.world.call(self.host, "vm.snapshot_delete"):
            domain = self.host.domain(uuid)
            domain.snapshots = [s for s in domain.snapshots if s.name != name or operation not in ("", s.operation)]

    def backup(
        self, order: BackupOrder, on_progress: Callable[[BackupProgress], None], is_aborted: Callable[[], bool]
    ) -> str:
        domain = self.host.domain(order.uuid)
        domain.frozen = domain.agent == CONNECTED  # a process that is killed within leaves it so
        with self.world.call(self.host, "vm.backup"):
            if domain.state not in ACTIVE:
                raise Refused(f"The VM {domain.name} went off meanwhile. Try again.")
            if order.since and order.since not in domain.checkpoints:
                raise NotFound("Its host no longer knows what has changed since the last backup.")
            on_progress(BackupProgress(1, 2))
            if is_aborted():
                raise Refused("The backup was cancelled.")
            disks = {disk.target: disk for disk in domain.disks}
            for disk in order.disks:
                path = disks[disk.target].path
                file = self.host.files_for(path)[path]
                self.host.backups[disk.path] = FakeFile(file.content, file.size_bytes)
            if order.checkpoint:
                domain.checkpoints.append(order.checkpoint)
            was_frozen, domain.frozen = domain.frozen, False
            return "" if was_frozen else "The guest has no agent that could be asked."

    def backup_end(self, uuid: str, folder: str, checkpoint: str = "") -> None:
        with self.world.call(self.host, "vm.backup_end"):
            domain = self.host.domains.get(uuid)
            if domain is not None:
                domain.checkpoints = [name for name in domain.checkpoints if name != checkpoint]
                domain.frozen = False

    def checkpoints_drop(self, uuid: str, keep: str = "") -> None:
        with self.world.call(self.host, "vm.checkpoints_drop"):
            domain = self.host.domains.get(uuid)
            if domain is not None:
                domain.checkpoints = [name for name in domain.checkpoints if name == keep]

    def stamp(self, uuid: str, generation: int, operation: str = "") -> None:
        with self.world.call(self.host, "vm.stamp"):
            domain = self.host.domain(uuid)
            if domain.generation is not None and generation < domain.generation:
                raise Refused(f"The VM {domain.name} has a newer owner; this stamp is stale.")
            domain.generation, domain.operation = generation, operation or domain.operation

    def migrate_check(self, vm: VmDescription, *, copied_targets: Iterable[str], bridges: Iterable[str]) -> None:
        with self.world.call(self.host, "vm.migrate_check"):
            reasons = []
            if vm.memory_mib > self.host.memory_free_mib():
                reasons.append(f"{self.host.name} has too little free memory for {vm.name}.")
            if missing := sorted(set(bridges) - self.host.bridges):
                reasons.append(f"{self.host.name} has no bridge {', '.join(missing)}.")
            if vm.machine not in self.host.machine_types:
                reasons.append(f"{self.host.name} does not offer the machine type {vm.machine}.")
            taken = {d.name for d in self.host.domains.values()} | set(self.host.domains)
            if vm.name in taken or vm.uuid in taken:
                reasons.append(f"{self.host.name} already has a VM with the name or the identity of {vm.name}.")
            if vm.snapshots:
                reasons.append(f"{vm.name} has snapshots; libvirt cannot move it before they are removed.")
            if reasons:
                raise Refused(" ".join(reasons))

    def migrate(
        self,
        order: MigrationOrder,
        on_progress: Callable[[MigrationProgress], None],
        is_aborted: Callable[[], bool],
    ) -> MigrationResult:
        with self.world.call(self.host, "vm.migrate") as fault:
            domain = self.host.domain(order.uuid)
            target = self.world.host_at(order.destination_uri)
            if domain.state != "running":
                raise Refused(f"The VM {domain.name} does not run; only a running VM moves live.")
            if not target.powered:
                raise Refused(f"The destination {target.name} does not answer.")
            on_progress(MigrationProgress(0.5, 1000, 500, 500))
            if is_aborted():
                raise Refused("The migration was cancelled; the VM stayed.")
            self._copy_files(domain, target, order.copied_targets)
            moved = FakeDomain(**{**vars(domain), "checkpoints": [], "state": "paused", "reason": "paused (user)"})
            target.domains[order.uuid] = moved
            if fault is None or fault.mode != "half":
                del self.host.domains[order.uuid]
            self.world.changed(self.host.name, order.uuid)
            self.world.changed(target.name, order.uuid)
            return MigrationResult(1.0, 1.0, 20)

    def _copy_files(self, domain: FakeDomain, target: FakeHost, copied_targets: Iterable[str]) -> None:
        for disk in domain.disks:
            here, there = self.host.files_for(disk.path), target.files_for(disk.path)
            if disk.target in copied_targets:
                if disk.path not in there:
                    raise Refused(f"The disk {disk.path} was not prepared on {target.name}.")
                there[disk.path].content = here[disk.path].content
            elif here is not there:
                raise Refused(f"The disk {disk.path} is not shared with {target.name}.")

    def _set(self, domain: FakeDomain, state: str, reason: str) -> None:
        domain.state, domain.reason = state, reason  # type: ignore[assignment]
        self.world.changed(self.host.name, domain.uuid)


class FakeVolumes:
    """The files of VMs on one fake host."""

    def __init__(self, world: FakeDataCenter, host: str) -> None:
        self.world = world
        self.host = world.hosts[host]

    def ensure(self, disk: DiskSpec, vm_uuid: str, image_path: str | None, running: Running | None = None) -> bool:
        with self.world.call(self.host, "volume.ensure"):
            pool, size_bytes = self.host.pool_of(disk.path), gib_to_bytes(disk.size_gib)
            if pool is None:
                raise Refused(f"No pool of {self.host.name} holds {disk.path}.")
            if disk.path in pool.files:
                return False
            if size_bytes > pool.free_bytes:
                raise Refused(
                    f"The pool {pool.name} has too little room for a disk of {disk.size_gib:g} GiB."
                    " Choose a smaller disk or another pool."
                )
            if image_path and image_path not in self.host.files:
                raise NotFound("The image of the disk is not on the host.")
            content = self.host.files[image_path].content if image_path else "empty"
            pool.files[disk.path] = FakeFile(content, size_bytes)
            return True

    def copy(self, disk: DiskSpec, vm_uuid: str, source: DescribedDisk, running: Running | None = None) -> bool:
        if not self.ensure(disk, vm_uuid, None, running):
            return False
        self.host.files_for(disk.path)[disk.path].content = self.host.files_for(source.path)[source.path].content
        return True

    def flatten(self, source: DescribedDisk, target: Path, running: Running | None = None) -> None:
        with self.world.call(self.host, "volume.flatten"):
            target.write_text(self.host.files_for(source.path)[source.path].content)

    def image_accept(self, file: Path, image_format: str, made: Path, running: Running) -> Path:
        with self.world.call(self.host, "volume.image_accept"):
            return file

    def restore(self, disk: DiskSpec, vm_uuid: str, chain: Sequence[str], running: Running | None = None) -> bool:
        if not self.ensure(disk, vm_uuid, None, running):
            return False
        self.host.files_for(disk.path)[disk.path].content = self.host.backups[chain[-1]].content
        return True

    def pool_of(self, path: str) -> tuple[str, str] | None:
        pool = self.host.pool_of(path)
        return (pool.name, pool.pool_id) if pool else None

    def remove(self, path: str, vm_uuid: str) -> None:
        with self.world.call(self.host, "volume.remove"):
            self.host.files_for(path).pop(path, None)

    def room_check(self, path: str, more_bytes: int) -> None:
        pool = self.host.pool_of(path)
        if pool is None or pool.free_bytes < more_bytes:
            raise Refused("The pool has too little room for the disk to grow.")

    def grow(self, path: str, image_format: str, size_bytes: int) -> None:
        with self.world.call(self.host, "volume.grow"):
            self.host.files_for(path)[path].size_bytes = size_bytes

    def seed_read(self, path: str, vm_uuid: str) -> bytes:
        with self.world.call(self.host, "volume.seed_read"):
            if path not in self.host.files_for(path):
                raise Refused("The VM has no seed disk on this host.")
            return self.host.files_for(path)[path].content.encode()

    def seed_write(self, path: str, vm_uuid: str, image: bytes) -> None:
        with self.world.call(self.host, "volume.seed_write"):
            if path not in self.host.files_for(path):
                raise Refused("The VM has no seed disk on this host.")
            self.host.files_for(path)[path].content = "seed" if image.strip(b"\0") else "zeros"

    def refuse_existing(self, path: str) -> None:
        if path in self.host.files_for(path):
            raise Refused(f"{self.host.name} already has a file {path}. Move it away first.")

    def target_prepare(self, disks: Iterable[DescribedDisk], folders: Iterable[str]) -> list[str]:
        with self.world.call(self.host, "volume.target_prepare"):
            created = []
            for disk in disks:
                files = self.host.files_for(disk.path)
                self.refuse_existing(disk.path)
                files[disk.path] = FakeFile("prepared", disk.size_bytes)
                created.append(disk.path)
            return created

    def target_unprepare(self, created: Iterable[str]) -> None:
        with self.world.call(self.host, "volume.target_unprepare"):
            used = {disk.path for d in self.host.domains.values() for disk in d.disks}
            for path in created:
                if path not in used:
                    self.host.files_for(path).pop(path, None)

    def remove_unowned(self, path: str) -> None:
        with self.world.call(self.host, "volume.remove_unowned"):
            self.host.files_for(path).pop(path, None)

    def quarantine(self, paths: Iterable[str]) -> list[str]:
        with self.world.call(self.host, "volume.quarantine"):
            left = []
            for path in paths:
                files = self.host.files_for(path)
                if path in files:
                    files[path + ".stowage-left"] = files.pop(path)
                    left.append(path + ".stowage-left")
            return left

    def image_path(self, source: ImageSource) -> str:
        return f"{IMAGE_CACHE}/{source.image}.{source.format}"

    def iso_path(self, source: ImageSource) -> str:
        return f"{IMAGE_CACHE}/{source.image}-{source.sha256[:16]}.iso"

    def is_iso(self, path: str) -> bool:
        return path.startswith(IMAGE_CACHE) and path.endswith(".iso")

    def image_inspect(self, path: str, image_format: str) -> int:
        with self.world.call(self.host, "volume.image_inspect"):
            if path not in self.host.files:
                raise NotFound("The image of the disk is not on the host.")
            return self.host.files[path].size_bytes

    def image_unpack(self, path: str, image_format: str, target: str, running: Running | None = None) -> None:
        """The one call on real files: the effect that keeps the cache works on them too."""
        with self.world.call(self.host, "volume.image_unpack"):
            shutil.copyfile(path, target)


class FakeContainers(FakeEngine):
    """A fake engine that also speaks the verbs of containers."""

    def locate(self, uuid: str) -> Location:
        with self.world.call(self.host, "container.locate"):
            container = self.host.containers.get(uuid)
            if container is None:
                return Location(False)
            return Location(
                True,
                container.state,
                container.reason,
                True,
                container.generation,
                container.spec.get("operation", ""),
            )

    def create(self, spec: ContainerSpec) -> str:
        with self.world.call(self.host, "container.create"):
            self._refuse_taken_name(spec.uuid, spec.name)
            for name in names_of(spec.volumes):
                self.host.container_volumes.setdefault(name, FakeVolume("", spec.operation))
            if spec.uuid not in self.host.containers:
                if spec.image not in self.host.images:
                    raise NotFound(f"The container image {spec.image} is not on the host.")
                self.host.containers[spec.uuid] = FakeContainer(
                    spec.uuid,
                    spec.name,
                    spec.image,
                    spec=spec.to_data(),
                    restart_policy=spec.restart_policy,
                    generation=spec.generation,
                    labels=dict(spec.labels),
                    cpu_cores=spec.cpu_cores,
                    memory_mib=spec.memory_mib,
                )
                self.world.changed(self.host.name, spec.uuid)
            return self.host.containers[spec.uuid].engine_id

    def start(self, uuid: str) -> None:
        with self.world.call(self.host, "container.start"):
            container = self.host.container(uuid)
            if container.state != "running":
                container.starts += 1
                container.state, container.reason = "running", "running"
                self.world.changed(self.host.name, uuid)

    def stop(self, uuid: str, timeout_s: float) -> None:
        with self.world.call(self.host, "container.stop"):
            self._stop(uuid)

    def kill(self, uuid: str) -> None:
        with self.world.call(self.host, "container.kill"):
            self._stop(uuid)

    def rename(self, uuid: str, name: str) -> None:
        with self.world.call(self.host, "container.rename"):
            self._refuse_taken_name(uuid, name)
            self.host.container(uuid).name = name
            self.world.changed(self.host.name, uuid)

    def set_aside(self, uuid: str) -> None:
        with self.world.call(self.host, "container.set_aside"):
            if uuid in self.host.containers:
                self.host.containers[_aside(uuid)] = self.host.containers.pop(uuid)

    def take_back(self, uuid: str, name: str) -> None:
        with self.world.call(self.host, "container.take_back"):
            if _aside(uuid) in self.host.containers:
                self.host.containers[uuid] = self.host.containers.pop(_aside(uuid))

    def drop_aside(self, uuid: str) -> None:
        with self.world.call(self.host, "container.drop_aside"):
            self.host.containers.pop(_aside(uuid), None)

    def image_used(self, uuid: str) -> str:
        with self.world.call(self.host, "container.image_used"):
            return self.host.images[self.host.container(uuid).image]

    def pause(self, uuid: str) -> None:
        with self.world.call(self.host, "container.pause"):
            self._change(uuid, "running", "paused")

    def unpause(self, uuid: str) -> None:
        with self.world.call(self.host, "container.unpause"):
            self._change(uuid, "paused", "running")

    def resize(self, uuid: str, cpu_cores: float, memory_mib: int) -> None:
        with self.world.call(self.host, "container.resize"):
            container = self.host.container(uuid)
            container.cpu_cores, container.memory_mib = cpu_cores, memory_mib

    def remove(self, uuid: str) -> None:
        with self.world.call(self.host, "container.remove"):
            container = self.host.containers.get(uuid)
            if container is None:
                return
            if container.state == "running":
                raise Refused(f"The container {container.name} still runs. Stop it first.")
            del self.host.containers[uuid]
            self.world.changed(self.host.name, uuid)

    def fence(self, uuid: str) -> str:
        with self.world.call(self.host, "container.fence"):
            container = self.host.containers.get(uuid)
            if container is None:
                return "no"
            policy, container.restart_policy = container.restart_policy, "no"
            self._stop(uuid)
            return policy

    def restore_policy(self, uuid: str, restart_policy: str) -> None:
        with self.world.call(self.host, "container.restore_policy"):
            self.host.container(uuid).restart_policy = restart_policy

    def footprint_mib(self, uuid: str) -> tuple[float, float]:
        with self.world.call(self.host, "container.footprint_mib"):
            return self.host.container(uuid).memory_mib / 4, 12.0

    def wait_healthy(self, uuid: str, timeout_s: float) -> str:
        with self.world.call(self.host, "container.wait_healthy"):
            if self.host.container(uuid).state != "running":
                raise Refused(f"The container {self.host.container(uuid).name} does not run.")
            return "It runs."

    def describe(self, uuid: str) -> ContainerSpec:
        with self.world.call(self.host, "container.describe"):
            container = self.host.container(uuid)
            return ContainerSpec.from_data(
                container.spec
                or {
                    "uuid": uuid,
                    "name": container.name,
                    "image": container.image,
                    "cpu_cores": container.cpu_cores,
                    "memory_mib": container.memory_mib,
                    "restart_policy": container.restart_policy,
                }
            )

    def image_id(self, reference: str) -> str | None:
        with self.world.call(self.host, "container.image_id"):
            return self.host.images.get(reference)

    def image_pull(
        self,
        reference: str,
        running: Running,
        login: RegistryLogin | None = None,
        stall_timeout_s: float = 60.0,
    ) -> list[dict[str, Any]]:
        with self.world.call(self.host, "container.image_pull"):
            if reference not in self.world.registry:
                raise NotFound(f"There is no container image {reference}. Check its name.")
            if login != self.world.registry_logins.get(reference):
                raise Rejected(f"The registry wants a login for {reference}.")
            self.host.images[reference] = f"sha256:{reference}"
            return [{"layer": "l1", "status": "Pull complete", "done_bytes": 1, "total_bytes": 1}]

    def image_remove(self, engine_id: str) -> None:
        with self.world.call(self.host, "container.image_remove"):
            names = [name for name, known in self.host.images.items() if known == engine_id]
            users = [container.name for container in self.host.containers.values() if container.image in names]
            if users:
                raise Refused(f"{names[0]} is used by {users[0]}. Delete what is made from it first.")
            for name in names:
                del self.host.images[name]

    def image_load(self, file: BinaryIO, reference: str) -> None:
        with self.world.call(self.host, "container.image_load"):
            self.host.images[reference] = f"sha256:{reference}"

    def image_save(self, reference: str) -> Iterator[bytes]:
        with self.world.call(self.host, "container.image_save"):
            if reference not in self.host.images:
                raise NotFound(f"The container image {reference} is not on the host.")
            return iter([reference.encode()])

    def _refuse_taken_name(self, uuid: str, name: str) -> None:
        if any(other.name == name and other.uuid != uuid for other in self.host.containers.values()):
            raise Refused(f"The host already has a container named {name}. Choose another name.")

    def _change(self, uuid: str, was: WorkloadState, becomes: WorkloadState) -> None:
        container = self.host.container(uuid)
        if container.state == was:
            container.state, container.reason = becomes, becomes
            self.world.changed(self.host.name, uuid)

    def _stop(self, uuid: str) -> None:
        container = self.host.containers.get(uuid)
        if container and container.state in ("running", "paused"):
            container.state, container.reason = "stopped", "exited (0)"
            self.world.changed(self.host.name, uuid)


def _aside(uuid: str) -> str:
    return f"aside of {uuid}"


def fake_drivers(world: FakeDataCenter, host: str) -> dict[str, object]:
    """Every driver of one fake host by the names under which effects ask the plane for them."""
    address = {h.address: h.name for h in world.hosts.values()}

    def bmc(url: str, system: str, username: str, password: str) -> FakeBmc:
        return FakeBmc(world, system or address.get(url, host))

    machines, containers = FakeMachines(world, host), FakeContainers(world, host)
    return {
        "hypervisor": machines,
        "machines": machines,
        "volumes": FakeVolumes(world, host),
        "backups": FakeBackupFolders(world, host),
        "engine": containers,
        "containers": containers,
        "container_volumes": FakeContainerVolumes(world, host),
        "bmc": bmc,
    }
