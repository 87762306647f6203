"""Backups of running VMs through libvirt: a job that QEMU does, and checkpoints that remember what changes after it.

A checkpoint is a bitmap in each qcow2 file that is marked wherever the guest writes. libvirt leaves it behind when
its backup fails, so it is taken away here: else the next backup would miss what this one did not copy.
Source: libvirt "Efficient live full/incremental disk backup", virDomainBackupBegin.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import libvirt

from hosts.drivers.domain_facts import parse
from hosts.drivers.libvirt_errors import is_code
from hosts.errors import DriverError, NotFound, Refused
from workloads.drivers import backup_xml
from workloads.drivers.base import BackupOrder, BackupProgress
from workloads.drivers.images import QEMU_IMG
from workloads.drivers.libvirt_agent import frozen

POLL_S = 0.25
END_PATIENCE_S = 30.0
OURS = "stowage-"  # how the names of our checkpoints begin; others are somebody else's
_RUNNING = (libvirt.VIR_DOMAIN_JOB_BOUNDED, libvirt.VIR_DOMAIN_JOB_UNBOUNDED)
_LOST = (libvirt.VIR_ERR_NO_DOMAIN_CHECKPOINT, libvirt.VIR_ERR_CHECKPOINT_INCONSISTENT)


def run(
    domain: libvirt.virDomain,
    order: BackupOrder,
    on_progress: Callable[[BackupProgress], None],
    is_aborted: Callable[[], bool],
) -> str:
    """Begins the backup and waits for its end; see `VirtualMachines.backup`."""
    try:
        with frozen(domain) as freeze:  # what is copied is how the disks are when it begins
            _begin(domain, order)
    except NotFound:  # nothing was begun
        raise
    except BaseException:
        _end_quietly(domain, order)
        raise
    try:
        is_stopping = False
        while (stats := _job(domain)) is not None:
            on_progress(BackupProgress(int(stats.get("disk_processed", 0)), int(stats.get("disk_total", 0))))
            if is_aborted():
                is_stopping = True
                with suppress(libvirt.libvirtError):  # it may have just ended
                    domain.abortJob()
            time.sleep(POLL_S)
        if is_stopping:
            raise Refused("The backup was cancelled.")
        _refuse_unless_complete(domain)
    except BaseException:
        _end_quietly(domain, order)
        raise
    return freeze.why_not


def _end_quietly(domain: libvirt.virDomain, order: BackupOrder) -> None:
    with suppress(libvirt.libvirtError):
        end(domain, [disk.path for disk in order.disks], order.checkpoint)


def _begin(domain: libvirt.virDomain, order: BackupOrder) -> None:
    known = parse(domain.XMLDesc(0)).disks
    chosen = {disk.target for disk in order.disks}
    left_out = [disk.target for disk in known if disk.target not in chosen]
    tracked = [disk.target for disk in order.disks if disk.is_tracked]
    checkpoint = None
    if order.checkpoint and tracked:
        untracked = [disk.target for disk in known if disk.target not in tracked]
        checkpoint = backup_xml.checkpoint_build(order.checkpoint, tracked, untracked)
    try:
        domain.backupBegin(backup_xml.backup_build(order.disks, left_out, order.since), checkpoint, 0)
    except libvirt.libvirtError as error:
        if order.since and is_code(error, *_LOST):
            raise NotFound("Its host no longer knows what has changed since the last backup.", str(error)) from error
        raise


def _job(domain: libvirt.virDomain) -> dict[str, Any] | None:
    """The statistics of the backup that runs; None when none does."""
    stats: dict[str, Any] = domain.jobStats()
    is_backup = stats.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP
    return stats if stats.get("type") in _RUNNING and is_backup else None


def _refuse_unless_complete(domain: libvirt.virDomain) -> None:
    """A VM that is gone by now, or went off meanwhile, has no complete backup."""
    stats = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    is_backup = stats.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP
    if not is_backup or stats.get("type") != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        sentence = "The backup did not come to its end: the VM went off, or its disks or the folder could not be used."
        raise DriverError(sentence, str(stats.get("errmsg") or stats)[:500])


def end(domain: libvirt.virDomain, files: list[str], checkpoint: str, folder: str = "") -> None:
    """Ensures that no backup writes to one of the files or into the folder, and that the checkpoint is gone."""
    until = time.monotonic() + END_PATIENCE_S
    while domain.isActive() and _job(domain) is not None and _writes_to(domain, files, folder):
        with suppress(libvirt.libvirtError):
            domain.abortJob()
        if time.monotonic() > until:
            raise DriverError("The backup that was begun before cannot be ended.")
        time.sleep(POLL_S)
    for each in domain.listAllCheckpoints(0):
        if checkpoint and each.getName() == checkpoint:
            _drop(domain, each)


def _writes_to(domain: libvirt.virDomain, files: list[str], folder: str) -> bool:
    try:
        written = backup_xml.backup_files(domain.backupGetXMLDesc(0))
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN_BACKUP):
            return False
        raise
    return any(path in files or (folder and path.startswith(f"{folder}/")) for path in written)


def checkpoints_drop(domain: libvirt.virDomain, keep: str = "") -> None:
    """Takes away all of our checkpoints but one."""
    for checkpoint in domain.listAllCheckpoints(0):
        name = checkpoint.getName()
        if name.startswith(OURS) and name != keep:
            _drop(domain, checkpoint)


def _drop(domain: libvirt.virDomain, checkpoint: libvirt.virDomainCheckpoint) -> None:
    """libvirt takes bitmaps out of the disks only while the VM is on; of one that is off it is done here."""
    if domain.isActive():
        with suppress(libvirt.libvirtError):
            checkpoint.delete(0)
            return
    name = checkpoint.getName()
    checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)
    if domain.isActive():
        return
    for disk in parse(domain.XMLDesc(0)).disks:
        if disk.path and disk.format == "qcow2" and not disk.read_only:
            # One that was not there, or stays, costs the guest a little at each write and harms nothing.
            command = [QEMU_IMG, "bitmap", "--remove", "-f", "qcow2", "--", disk.path, name]
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(command, capture_output=True, timeout=60, check=False)
