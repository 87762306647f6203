"""Effects on backups of VMs: written, checked, brought back as another VM's disks, and removed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hosts.errors import Invalid, NotFound, Refused, StowageError
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.base import BackupDisk, BackupOrder, BackupProgress, DescribedDisk, VmDescription
from workloads.drivers.seed_image import seed_identity
from workloads.drivers.specs import DiskSpec, VmSpec, path_check, uuid_check
from workloads.effects.drivers import backups, machines, volumes

Data = dict[str, Any]
FORMAT = 1  # of the manifest
FOUND_MOST = 1000
SEED_SUFFIX = "{}-seed.img"
OFF = ("stopped", "crashed")
_CHECKPOINT = re.compile(r"stowage-[0-9a-f-]{36}")


@effect("vm.backup", lane="long")
def vm_backup(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Writes a backup of all disks that the VM writes to, apart from what it was told at its first boot.

    With `since` ({"backup", "checkpoint", "folder", "sizes"}) only what changed after that one, where its host still
    knows; else a full one, and `sentence` says why. Undo: vm.backup_undo. Begun anew after a run that was cut short.
    """
    uuid, backup = uuid_check(arguments["uuid"]), uuid_check(arguments["backup"])
    store, verbs = backups(context), machines(context)
    folder = store.folder(str(arguments.get("folder") or ""))
    if (known := store.manifest(folder, uuid, backup)) is not None:
        return _told(known, folder)
    state = verbs.locate(uuid).state
    vm = verbs.off_check(uuid) if state in OFF else verbs.describe(uuid)
    disks = _disks_of(vm)
    since = dict(arguments.get("since") or {})
    sentence = "" if arguments.get("kind") == "full" else _why_full(context, vm, disks, since, folder, state)
    is_part = arguments.get("kind") != "full" and not sentence
    verbs.backup_end(uuid, _part(folder, uuid, backup), _checkpoint_name(backup))
    part = store.begin(folder, uuid, backup, 0 if is_part else sum(disk.used_bytes for disk in disks))
    checkpoint, taken_at_s, not_frozen = "", context.clock(), ""
    try:
        if state in OFF:
            for disk in disks:
                progress.update(f"copying the disk {disk.target}", at_once=True)
                store.copy_at_rest(disk, f"{part}/{disk.target}.qcow2", progress)
        else:
            checkpoint = "" if vm.snapshots or not any(map(_is_tracked, disks)) else _checkpoint_name(backup)
            order = BackupOrder(
                uuid,
                tuple(BackupDisk(disk.target, f"{part}/{disk.target}.qcow2", _is_tracked(disk)) for disk in disks),
                checkpoint,
                str(since["checkpoint"]) if is_part else "",
            )
            try:
                not_frozen = _run(context, order, progress)
            except NotFound as lost:
                if not is_part:
                    raise
                is_part, sentence = False, f"{lost.message} It was moved, restored or renamed, or had a snapshot."
                verbs.checkpoints_drop(uuid)
                part = store.begin(folder, uuid, backup, sum(disk.used_bytes for disk in disks))
                not_frozen = _run(context, BackupOrder(uuid, order.disks, checkpoint), progress)
        manifest = {
            "format": FORMAT,
            "backup": backup,
            "vm": uuid,
            "name": vm.name,
            "spec": arguments["spec"],
            "kind": "incremental" if is_part else "full",
            "parent": str(since["backup"]) if is_part else None,
            "checkpoint": checkpoint,
            "taken_at_s": taken_at_s,
            "is_at_rest": state in OFF,
            "is_frozen": state not in OFF and not not_frozen,
            "not_frozen": not_frozen,
            "sentence": sentence,
            "seed": _seed_of(context, vm),
            "files": [{"target": disk.target, "file": f"{disk.target}.qcow2"} for disk in disks],
        }
        return _told(store.seal(folder, uuid, backup, manifest, progress), folder)
    except StowageError:
        verbs.backup_end(uuid, part, checkpoint)
        store.remove(folder, uuid, backup)
        raise


@effect("vm.backup_undo", lane="long")
def vm_backup_undo(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Takes back vm.backup: its job, its checkpoint and its files."""
    uuid, backup = uuid_check(arguments["uuid"]), uuid_check(arguments["backup"])
    store = backups(context)
    folder = store.folder(str(arguments.get("folder") or ""))
    machines(context).backup_end(uuid, _part(folder, uuid, backup), _checkpoint_name(backup))
    store.remove(folder, uuid, backup)
    return {}


@effect("vm.backup_tidy", lane="long")
def vm_backup_tidy(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Removes backups ({"vm", "backup", "folder"}, newest first), and with `keep` all other checkpoints of the VM.

    Undo: none; what was removed is gone, as was asked for.
    """
    if arguments.get("keep"):
        machines(context).checkpoints_drop(uuid_check(arguments["uuid"]), _checkpoint_check(arguments["keep"]))
    for entry in arguments.get("remove") or ():
        progress.check()
        backups(context).remove(path_check(entry["folder"]), uuid_check(entry["vm"]), uuid_check(entry["backup"]))
    return {"removed": [str(entry["backup"]) for entry in arguments.get("remove") or ()]}


@effect("vm.backup_check", lane="long")
def vm_backup_check(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """What is wrong with the files of each backup in `chain`: checksums are added up, images looked through."""
    store, damaged = backups(context), {}
    for link in arguments["chain"]:
        try:
            store.check(*_place(link), link["files"], progress)
        except Refused as refusal:
            progress.check()  # a wish to end is no damage
            damaged[str(link["backup"])] = refusal.message
    return {"damaged": damaged}


@effect("vm.backup_restore", lane="long", brings_work=True)
def vm_backup_restore(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Makes the disks of a new VM from a chain of backups, the full one first; none of their files is written to.

    Undo: vm.volumes_remove. What this run made is removed again when it fails half-way.
    """
    spec, store, files = VmSpec.from_data(arguments["spec"]), backups(context), volumes(context)
    chain = list(arguments["chain"])
    made: list[DiskSpec] = []
    try:
        for disk in spec.disks:
            progress.update(f"making the disk {disk.target}", at_once=True)
            if disk.path.endswith(SEED_SUFFIX.format(spec.uuid)):  # filled by the step after this
                is_new = files.ensure(disk, spec.uuid, None, progress)
            else:
                paths = [store.file(*_place(link), _file_of(link, disk.target)) for link in chain]
                is_new = files.restore(disk, spec.uuid, paths, progress)
            if is_new:
                made.append(disk)
    except StowageError:
        for disk in made:
            files.remove(disk.path, spec.uuid)
        raise
    return {"created": [disk.path for disk in made], "paths": [disk.path for disk in spec.disks]}


@effect("backup.find", lane="long", is_exclusive=False)
def backup_find(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """The manifests of the newest backups in the folder, as they stand there; who reads them must judge them."""
    store = backups(context)
    folder = store.folder(str(arguments.get("folder") or ""))
    progress.update("reading the folder", at_once=True)
    found = sorted(store.found(folder), key=lambda manifest: str(manifest.get("taken_at_s")), reverse=True)
    return {"folder": folder, "found": found[:FOUND_MOST], "left_out": max(0, len(found) - FOUND_MOST)}


def _run(context: PlaneContext, order: BackupOrder, progress: Progress) -> str:
    """A VM that runs is copied as it is at one moment, as if its plug had been pulled then.

    Less harm is in that while its file systems stand still; the sentence why they did not, else empty.
    """

    def tell(word: BackupProgress) -> None:
        text = f"copying, {word.done_bytes / 2**20:.0f} of {word.total_bytes / 2**20:.0f} MiB"
        progress.update(text, word.percent)

    progress.beat_every(1.0)
    progress.update("starting to copy", at_once=True)
    try:
        not_frozen = machines(context).backup(order, tell, progress.is_aborted)
    except Refused:
        progress.check()  # whether it was cancelled or took too long
        raise
    finally:
        progress.beat_every(5.0)
    progress.check()
    return not_frozen


def _why_full(
    context: PlaneContext, vm: VmDescription, disks: Sequence[DescribedDisk], since: Data, folder: str, state: str
) -> str:
    """Why no incremental backup is possible; empty when one is."""
    if not since:
        return "There is no earlier one that it could add to."
    if state in OFF:
        return "The VM was off, and what changes is told only while it is on."
    if vm.snapshots:
        return "The VM has snapshots, beside which libvirt does not note what changes."
    if since["folder"] != folder:
        return "The earlier one lies in another folder."
    if backups(context).manifest(folder, vm.uuid, uuid_check(since["backup"])) is None:
        return "The earlier one is gone from its folder."
    if {disk.target: disk.size_bytes for disk in disks} != since["sizes"]:
        return "The VM's disks are others than those of the earlier one, or have grown."
    _checkpoint_check(since["checkpoint"])
    return ""


def _seed_of(context: PlaneContext, vm: VmDescription) -> dict[str, str]:
    """By what its cloud-init knows a VM that was told something at its first boot; empty for others, and if unknown.

    Without it the guest would take a restored VM for a new machine: other host keys, network by DHCP.
    """
    for disk in vm.disks:
        if disk.path.endswith(SEED_SUFFIX.format(vm.uuid)):
            return seed_identity(volumes(context).seed_read(disk.path, vm.uuid)) or {}
    return {}


def _disks_of(vm: VmDescription) -> list[DescribedDisk]:
    """Those that the guest writes to. The small one of its first boot holds keys and passwords, and nothing else."""
    disks = [disk for disk in vm.disks if not disk.read_only and not disk.path.endswith(SEED_SUFFIX.format(vm.uuid))]
    if not disks:
        raise Refused(f"The VM {vm.name} has no disk that could be backed up.")
    return disks


def _is_tracked(disk: DescribedDisk) -> bool:
    return disk.format == "qcow2"


def _checkpoint_name(backup: str) -> str:
    return f"stowage-{backup}"


def _checkpoint_check(name: object) -> str:
    if not _CHECKPOINT.fullmatch(str(name)):
        raise Invalid("The command names a checkpoint that Stowage did not make.", repr(name)[:100])
    return str(name)


def _part(folder: str, vm: str, backup: str) -> str:
    return f"{folder}/{vm}/{backup}.part"


def _place(link: Data) -> tuple[str, str, str]:
    return path_check(link["folder"]), uuid_check(link["vm"]), uuid_check(link["backup"])


def _file_of(link: Data, target: str) -> str:
    found = [str(entry["file"]) for entry in link["files"] if entry["target"] == target]
    if not found:
        raise Refused(f"The backup has no disk {target}.")
    return found[0]


def _told(manifest: Data, folder: str) -> Data:
    keys = ("kind", "parent", "checkpoint", "taken_at_s", "is_at_rest", "sentence", "seed", "files")
    frozen = {"is_frozen": manifest.get("is_frozen") is True, "not_frozen": str(manifest.get("not_frozen") or "")}
    return {key: manifest[key] for key in keys} | frozen | {"folder": folder}
