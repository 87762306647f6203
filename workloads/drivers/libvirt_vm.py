"""The verbs of VMs through libvirt, each an "ensure": a repeated one finds its work done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

import libvirt

from hosts.drivers.domain_facts import NAMESPACE, DomainFacts, parse, stamp_read
from hosts.drivers.domain_state import domain_state
from hosts.drivers.libvirt_errors import is_code
from hosts.drivers.libvirt_host import LibvirtHost, guest_offers
from hosts.errors import NotFound, Refused, TimedOut
from workloads.drivers import (
    domain_xml,
    libvirt_agent,
    libvirt_backup,
    libvirt_cdrom,
    libvirt_devices,
    libvirt_migration,
    libvirt_resize,
    libvirt_snapshots,
)
from workloads.drivers.arrival import Destination, arrival_check
from workloads.drivers.base import (
    BackupOrder,
    BackupProgress,
    DescribedDisk,
    DescribedSnapshot,
    Location,
    MigrationOrder,
    MigrationProgress,
    MigrationResult,
    Resized,
    VmDescription,
)
from workloads.drivers.specs import DiskSpec, NicSpec, VmSpec, serial_log_path

STOP_POLL_S = 0.2
SAID_BYTES = 256 * 1024
_ALREADY = (libvirt.VIR_ERR_OPERATION_INVALID,)
_UNDEFINE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


class LibvirtMachines:
    """The VMs of one host.

    `memory_limit_mib` is the memory that the host declares, where that is less than the machine's (a lab host).
    """

    def __init__(
        self,
        host: LibvirtHost,
        *,
        memory_limit_mib: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host = host
        self._memory_limit_mib = memory_limit_mib
        self._clock = clock
        self._sleep = sleep

    def locate(self, uuid: str) -> Location:
        with self._host.calls("say where the VM is") as connection:
            domain = _lookup(connection, uuid)
            if domain is None:
                return Location(False)
            try:
                state, reason = domain_state(*domain.state())
                return Location(True, state, reason, bool(domain.isPersistent()), *_stamp(domain))
            except libvirt.libvirtError as error:
                if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                    return Location(False)
                raise

    def describe(self, uuid: str) -> VmDescription:
        with self._host.calls("describe the VM") as connection:
            domain = _require(connection, uuid)
            xml = domain.XMLDesc(0)
            facts = parse(xml)
            disks = tuple(
                DescribedDisk(d.target, d.path, d.format, *_sizes(domain, d.path), d.read_only, d.cache)
                for d in facts.disks
                if d.path
            )
            snapshots = domain.snapshotNum()
        return _description(facts, xml, disks, snapshots)

    def define(self, spec: VmSpec, accelerator: str) -> None:
        with self._host.calls(f"define the VM {spec.name}") as connection:
            known = _lookup(connection, spec.uuid)
            if known is not None:
                self._define_known(known, spec)
                if known.isActive():
                    return
            self._refuse_taken_name(connection, spec.uuid, spec.name)
            _refuse_unknown_hardware(connection, spec)
            caches = {d.target: "writeback" for d in spec.disks if self._host.is_local and not _is_direct(d.path)}
            xml = domain_xml.build(spec, accelerator, caches)
            try:
                domain = connection.defineXMLFlags(xml, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
            except libvirt.libvirtError:
                # Another definition of that name may have come between our look and our call (pitfalls M21).
                self._refuse_taken_name(connection, spec.uuid, spec.name)
                raise
            domain.setAutostart(0)  # a host that returns starts nothing by itself

    def undefine(self, uuid: str) -> None:
        with self._host.calls("remove the VM's definition") as connection:
            domain = _lookup(connection, uuid)
            if domain is None:
                return
            if domain.isActive():
                raise Refused(f"The VM {domain.name()} is not off. Stop it first.")
            _tolerate(lambda: domain.undefineFlags(_UNDEFINE), libvirt.VIR_ERR_NO_DOMAIN)

    def start(self, uuid: str) -> None:
        with self._host.calls("start the VM") as connection:
            domain = _require(connection, uuid)
            if domain.isActive():
                return
            try:
                domain.create()
            except libvirt.libvirtError:
                if not domain.isActive():
                    raise

    def stop(self, uuid: str, *, force: bool, timeout_s: float) -> str:
        began_at = self._clock()
        with self._host.calls("stop the VM") as connection:
            domain = _lookup(connection, uuid)
            if domain is None or not domain.isActive():
                return ""
            wish = libvirt_agent.ShutDown(domain) if domain_state(*domain.state())[0] == "running" else None
            while (spent_s := self._clock() - began_at) < timeout_s:
                if not _is_active(domain):
                    return wish.by if wish else ""
                if wish:
                    wish.look(spent_s / timeout_s)
                self._sleep(STOP_POLL_S)
            name = domain.name()
        if not force:
            raise TimedOut(f"The VM {name} did not shut down within {timeout_s:.0f} s. Stop it by force.")
        self.destroy(uuid)
        return "force"

    def destroy(self, uuid: str) -> None:
        with self._host.calls("switch the VM off") as connection:
            domain = _lookup(connection, uuid)
            if domain is not None and _is_active(domain):
                _tolerate(domain.destroy, libvirt.VIR_ERR_NO_DOMAIN, *_ALREADY)

    def resume(self, uuid: str, generation: int) -> None:
        with self._host.calls("resume the VM") as connection:
            domain = _require(connection, uuid)
            stamped, _ = _stamp(domain)
            if stamped is not None and generation < stamped:
                raise Refused(
                    f"The VM {domain.name()} has a newer owner; this order to resume it is stale.",
                    f"generation {generation}, stamped {stamped}",
                )
            state, reason = domain_state(*domain.state())
            if state == "running":
                return
            if state != "paused":
                raise Refused(f"The VM {domain.name()} is {reason}; only a paused VM can be resumed.")
            _tolerate(domain.resume, *_ALREADY)
            if domain_state(*domain.state())[0] != "running":
                raise Refused(f"The VM {domain.name()} did not resume; it is {domain_state(*domain.state())[1]}.")

    def pause(self, uuid: str) -> None:
        with self._host.calls("pause the VM") as connection:
            domain = _require(connection, uuid)
            if domain_state(*domain.state())[0] == "running":
                domain.suspend()

    def reset(self, uuid: str) -> None:
        with self._host.calls("reset the VM") as connection:
            domain = _require(connection, uuid)
            if not domain.isActive():
                raise Refused(f"The VM {domain.name()} is off. Start it instead.")
            domain.reset()

    def off_check(self, uuid: str) -> VmDescription:
        with self._host.calls("see that the VM is off") as connection:
            domain = _require(connection, uuid)
            if _is_active(domain):
                raise Refused(f"The VM {domain.name()} is on; its disks change while they are read. Stop it first.")
            if domain.hasManagedSaveImage():
                raise Refused(
                    f"The VM {domain.name()} is saved to disk: its disks are as in the midst of its work. Start it"
                    " and stop it first."
                )
        return self.describe(uuid)

    def rename(self, uuid: str, name: str) -> None:
        with self._host.calls("rename the VM") as connection:
            domain = _require(connection, uuid)
            old = domain.name()
            if old == name:
                return
            self._refuse_taken_name(connection, uuid, name)
            if _is_active(domain):
                raise Refused(f"The VM {old} is on; libvirt renames it only while it is off.")
            if domain.snapshotNum():
                raise Refused(f"The VM {old} has snapshots, with which libvirt does not rename it. Delete them first.")
            libvirt_backup.checkpoints_drop(domain)
            try:
                domain.rename(name)
            except libvirt.libvirtError:
                self._refuse_taken_name(connection, uuid, name)
                raise

    def save(self, uuid: str) -> None:
        with self._host.calls("save the VM to disk") as connection:
            domain = _require(connection, uuid)
            if not _is_active(domain):
                if domain.hasManagedSaveImage():
                    return
                raise Refused(f"The VM {domain.name()} is off; there is nothing to save.")
            if not domain.isPersistent():
                raise Refused(f"The VM {domain.name()} is not defined on its host, so its memory cannot be kept there.")
            domain.managedSave(0)

    def resize(self, uuid: str, vcpus: int, memory_mib: int) -> Resized:
        with self._host.calls("resize the VM") as connection:
            return libvirt_resize.resize(_require(connection, uuid), vcpus, memory_mib, self._clock, self._sleep)

    def next_size(self, uuid: str) -> tuple[int, int]:
        with self._host.calls("read the VM's definition") as connection:
            facts = parse(_require(connection, uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            return facts.vcpus, facts.memory_mib

    def disk_paths(self, uuid: str) -> set[str]:
        with self._host.calls("read the VM's disks") as connection:
            return libvirt_devices.disk_paths(_require(connection, uuid))

    def disk_attach(self, uuid: str, disk: DiskSpec) -> None:
        cache = "writeback" if self._host.is_local and not _is_direct(disk.path) else "none"
        with self._host.calls(f"give the VM the disk {disk.target}") as connection:
            libvirt_devices.disk_attach(_require(connection, uuid), disk, cache)

    def disk_detach(self, uuid: str, disk: DiskSpec) -> None:
        with self._host.calls(f"take the disk {disk.target} from the VM") as connection:
            libvirt_devices.disk_detach(_require(connection, uuid), disk, self._clock, self._sleep)

    def nic_attach(self, uuid: str, nic: NicSpec) -> None:
        with self._host.calls("give the VM a network card") as connection:
            libvirt_devices.nic_attach(_require(connection, uuid), nic)

    def nic_detach(self, uuid: str, nic: NicSpec) -> None:
        with self._host.calls("take a network card from the VM") as connection:
            libvirt_devices.nic_detach(_require(connection, uuid), nic, self._clock, self._sleep)

    def cdrom_set(self, uuid: str, path: str | None) -> None:
        with self._host.calls("change what is in the VM's CD-ROM drive") as connection:
            libvirt_cdrom.cdrom_set(_require(connection, uuid), path)

    def nvram_forget(self, uuid: str) -> None:
        if self._host.is_local and not self.locate(uuid).present:
            with suppress(FileNotFoundError):
                os.unlink(domain_xml.nvram_path(uuid))

    def has_said(self, uuid: str, text: str) -> bool:
        if not self._host.is_local:
            raise Refused("What a VM says on its serial line is read only by the hostd of its own host.")
        with suppress(FileNotFoundError), open(serial_log_path(uuid), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - SAID_BYTES))
            return text.encode() in file.read(SAID_BYTES)
        return False

    def memory_used_mib(self, uuid: str) -> float:
        with self._host.calls("measure the VM") as connection:
            return float(_require(connection, uuid).memoryStats().get("rss", 0)) / 1024

    def disk_grow(self, uuid: str, path: str, size_bytes: int) -> bool:
        with self._host.calls("grow the VM's disk") as connection:
            domain = _require(connection, uuid)
            if not _is_active(domain):
                return False
            if domain.blockInfo(path)[0] < size_bytes:
                domain.blockResize(path, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
            return True

    def snapshots(self, uuid: str) -> tuple[DescribedSnapshot, ...]:
        with self._host.calls("list the VM's snapshots") as connection:
            return libvirt_snapshots.listed(_require(connection, uuid))

    def snapshot_take(self, uuid: str, name: str, operation: str) -> None:
        with self._host.calls("take a snapshot of the VM") as connection:
            domain = _require(connection, uuid)
            libvirt_backup.checkpoints_drop(domain)  # libvirt has no snapshots beside checkpoints
            libvirt_snapshots.take(domain, name, operation)

    def snapshot_revert(self, uuid: str, name: str) -> None:
        with self._host.calls("bring the VM back to its snapshot") as connection:
            domain = _require(connection, uuid)
            libvirt_backup.checkpoints_drop(domain)  # what comes back was not noted as a change
            libvirt_snapshots.revert(domain, name)

    def snapshot_delete(self, uuid: str, name: str, operation: str = "") -> None:
        with self._host.calls("delete the VM's snapshot") as connection:
            libvirt_snapshots.delete(_require(connection, uuid), name, operation)

    def backup(
        self, order: BackupOrder, on_progress: Callable[[BackupProgress], None], is_aborted: Callable[[], bool]
    ) -> str:
        with self._host.calls("back up the VM") as connection:
            domain = _require(connection, order.uuid)
            if not _is_active(domain):
                raise Refused(f"The VM {domain.name()} went off meanwhile. Try again.")
            return libvirt_backup.run(domain, order, on_progress, is_aborted)

    def backup_end(self, uuid: str, folder: str, checkpoint: str = "") -> None:
        with self._host.calls("end the VM's backup") as connection:
            domain = _lookup(connection, uuid)
            if domain is not None:
                libvirt_agent.thaw_leftover(domain)
                libvirt_backup.end(domain, [], checkpoint, folder)

    def checkpoints_drop(self, uuid: str, keep: str = "") -> None:
        with self._host.calls("take away the VM's checkpoints") as connection:
            domain = _lookup(connection, uuid)
            if domain is not None:
                libvirt_backup.checkpoints_drop(domain, keep)

    def stamp(self, uuid: str, generation: int, operation: str = "") -> None:
        with self._host.calls("stamp the VM") as connection:
            domain = _require(connection, uuid)
            known = parse(domain.XMLDesc(0))
            if known.generation is not None and generation < known.generation:
                raise Refused(f"The VM {known.name} has a newer owner; this stamp is stale.")
            halves = [(known, libvirt.VIR_DOMAIN_AFFECT_LIVE)] if domain.isActive() else []
            if domain.isPersistent():  # its next start may bring another grant of memory
                defined = parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
                halves.append((defined, libvirt.VIR_DOMAIN_AFFECT_CONFIG))
            for facts, flag in halves:
                told = replace(
                    facts, generation=generation, operation=operation or known.operation, labels=known.labels
                )
                libvirt_resize.metadata_write(domain, told, flag)

    def migrate_check(self, vm: VmDescription, *, copied_targets: Iterable[str], bridges: Iterable[str]) -> None:
        with self._host.calls("judge whether the VM can come here") as connection:
            arrival_check(
                vm,
                Destination.look(connection, self._host.is_local, self._memory_limit_mib),
                copied_targets=tuple(copied_targets),
                bridges=tuple(bridges),
            )

    def migrate(
        self,
        order: MigrationOrder,
        on_progress: Callable[[MigrationProgress], None],
        is_aborted: Callable[[], bool],
    ) -> MigrationResult:
        return libvirt_migration.migrate(self._host, order, on_progress, is_aborted)

    @staticmethod
    def _define_known(domain: libvirt.virDomain, spec: VmSpec) -> None:
        if parse(domain.XMLDesc(0)).generation is None:
            raise Refused(f"The VM {domain.name()} was not made by Stowage; it is left as it is.")

    @staticmethod
    def _refuse_taken_name(connection: libvirt.virConnect, uuid: str, name: str) -> None:
        try:
            other = connection.lookupByName(name)
        except libvirt.libvirtError as error:
            if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                return
            raise
        if other.UUIDString() != uuid:
            raise Refused(f"The host already has a VM named {name}. Choose another name.")


def _lookup(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def _require(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain:
    domain = _lookup(connection, uuid)
    if domain is None:
        raise NotFound("The VM is not on this host.", uuid)
    return domain


def _tolerate(call: Callable[[], object], *codes: int) -> None:
    """Makes the call; an error of those codes means that somebody did it before us."""
    try:
        call()
    except libvirt.libvirtError as error:
        if not is_code(error, *codes):
            raise


def _refuse_unknown_hardware(connection: libvirt.virConnect, spec: VmSpec) -> None:
    if spec.cpu_model and spec.cpu_model not in connection.getCPUModelNames("x86_64"):
        raise Refused(f"The hypervisor here knows no CPU model {spec.cpu_model}. Choose another, or none.")
    if spec.firmware == "bios" and not spec.has_tpm:
        return
    offered = guest_offers(connection)
    if spec.firmware != "bios" and "efi" not in offered.firmwares:
        raise Refused("The host has no UEFI firmware for VMs (Debian: the package ovmf). Choose BIOS, or another host.")
    if spec.firmware == "uefi-secure" and "efi-secure" not in offered.firmwares:
        raise Refused("The host has no firmware with secure boot for VMs. Choose UEFI without it, or another host.")
    if spec.has_tpm and not offered.tpms:
        raise Refused(
            "The host has no TPM for VMs (Debian: swtpm and swtpm-tools). Do without, or choose another host."
        )


def _is_active(domain: libvirt.virDomain) -> bool:
    try:
        return bool(domain.isActive())
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return False
        raise


def _stamp(domain: libvirt.virDomain) -> tuple[int | None, str]:
    try:
        return stamp_read(domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE))
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN_METADATA):
            return None, ""
        raise


def _sizes(domain: libvirt.virDomain, path: str) -> tuple[int, int]:
    """Virtual and allocated bytes of a disk's file; zeros when the file is gone."""
    try:
        capacity, allocation, _physical = domain.blockInfo(path)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise
        return 0, 0
    return int(capacity), int(allocation)


def _is_direct(path: str) -> bool:
    """Whether the file's file system knows O_DIRECT, which cache "none" needs."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_DIRECT | os.O_NOFOLLOW | os.O_CLOEXEC))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _description(facts: DomainFacts, xml: str, disks: tuple[DescribedDisk, ...], snapshots: int) -> VmDescription:
    return VmDescription(
        uuid=facts.uuid,
        name=facts.name,
        xml=xml,
        vcpus=facts.vcpus,
        memory_mib=facts.memory_mib,
        machine=facts.machine,
        accelerator=facts.accelerator,
        disks=disks,
        bridges=facts.bridges,
        serial_log=facts.serial_log,
        socket_folders=facts.socket_folders,
        boot_files=facts.boot_files,
        snapshots=snapshots,
        generation=facts.generation,
        labels=facts.labels,
        obstacles=facts.obstacles,
        cpu_xml=facts.cpu_xml,
        nvram=facts.nvram,
        has_tpm=facts.has_tpm,
    )
