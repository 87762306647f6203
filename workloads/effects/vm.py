"""Effects on VMs, apart from moving them (`workloads.effects.migrate`). Each is an "ensure"."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hosts.errors import Invalid, Refused, StowageError
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.host_effects import TRIAL
from hosts.plane.progress import Progress
from hosts.units import gib_to_bytes
from workloads.drivers.base import Location
from workloads.drivers.seed_image import seed_image, seed_wiped
from workloads.drivers.specs import FORMATS, DiskSpec, VmSpec, name_check, path_check, size_check, uuid_check
from workloads.effects import migrate, vm_cdrom, vm_copies, vm_devices
from workloads.effects.described import described
from workloads.effects.disks_in_use import refuse_disks_in_use
from workloads.effects.drivers import machines, volumes
from workloads.effects.image import image_ready, iso_ready

Data = dict[str, Any]


@effect("vm.locate", lane="short", is_exclusive=False)
def vm_locate(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    return machines(context).locate(uuid_check(arguments["uuid"])).to_data()


@effect("vm.describe", lane="short", is_exclusive=False)
def vm_describe(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    return described(context, uuid_check(arguments["uuid"])).to_data()


@effect("vm.volumes_ensure", lane="long", brings_work=True)
def vm_volumes_ensure(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.volumes_remove. What this run made is removed again when it fails half-way."""
    spec = VmSpec.from_data(arguments["spec"])
    files = volumes(context)
    made: list[DiskSpec] = []
    if spec.iso:
        progress.update("bringing the ISO", at_once=True)
        iso_ready(context, spec.iso, progress)
    try:
        for disk in spec.disks:
            image = image_ready(context, disk.image, progress) if disk.image else None
            progress.update(f"making the disk {disk.target}", at_once=True)
            if files.ensure(disk, spec.uuid, image, progress):
                made.append(disk)
    except StowageError:
        for disk in made:
            files.remove(disk.path, spec.uuid)
        raise
    return {"created": [disk.path for disk in made], "paths": [disk.path for disk in spec.disks]}


@effect("vm.seed_write", lane="long", brings_work=True)
def vm_seed_write(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Fills the seed disk that vm.volumes_ensure made. Undo: none of its own; the disk goes with the others.

    The files are fetched now and kept nowhere but on that disk.
    """
    path, uuid = path_check(arguments["path"]), uuid_check(arguments["uuid"])
    files = json.loads(context.control.secret(arguments["secret"]))
    volumes(context).seed_write(path, uuid, seed_image(files))
    return {}


@effect("vm.rename", lane="short")
def vm_rename(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.rename with the name that it had."""
    machines(context).rename(uuid_check(arguments["uuid"]), name_check(arguments["name"], "VM"))
    return {}


@effect("vm.seed_wipe", lane="long")
def vm_seed_wipe(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Takes what the guest was told off its seed disk, also while it runs. Undo: none; that is the point of it."""
    path, uuid = path_check(arguments["path"]), uuid_check(arguments["uuid"])
    files = volumes(context)
    files.seed_write(path, uuid, seed_wiped(files.seed_read(path, uuid)))
    return {}


@effect("vm.disk_grow", lane="long", brings_work=True)
def vm_disk_grow(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """The disk that the hypervisor knows by that target, and no other file. Undo: none; the guest has seen it."""
    uuid = uuid_check(arguments["uuid"])
    size_bytes = gib_to_bytes(float(arguments["size_gib"]))
    known = {disk.target: disk for disk in machines(context).describe(uuid).disks}
    disk = known.get(str(arguments["target"]))
    if disk is None or disk.read_only:
        raise Refused("The VM has no such disk that could grow.", str(arguments["target"])[:20])
    if disk.format not in FORMATS:
        raise Refused(f"A disk of the format {disk.format} is not grown.")
    files = volumes(context)
    files.room_check(path_check(disk.path), max(0, size_bytes - disk.size_bytes))
    if not machines(context).disk_grow(uuid, disk.path, size_bytes):
        files.grow(disk.path, disk.format, size_bytes)
    return {"size_bytes": size_bytes}


@effect("vm.volumes_remove", lane="long")
def vm_volumes_remove(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Deletes disks that Stowage made, sets others aside, and leaves alone what lies outside of the pools.

    Refused while a VM of this host has one of them. An adopted VM's disks may look in ways that no new one may.
    """
    spec = arguments["spec"]
    uuid = uuid_check(spec["uuid"])
    files = volumes(context)
    paths = [path_check(disk["path"]) for disk in spec.get("disks") or ()]
    refuse_disks_in_use(context, paths)
    kept = [path for path in paths if files.pool_of(path) is None]
    for path in paths:
        if path not in kept:
            files.remove(path, uuid)
    return {"kept": kept}


@effect("vm.define", lane="long", brings_work=True)
def vm_define(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.undefine with the operation's uuid, so that no other VM's definition is touched."""
    spec = VmSpec.from_data(arguments["spec"])
    _refuse_foreign_boot_files(context, spec)
    if spec.iso:
        spec = replace(spec, cdrom=volumes(context).iso_path(spec.iso))
    accelerator = arguments.get("accelerator") or _accelerator_probed(context)
    if accelerator not in ("kvm", "tcg"):
        raise Invalid(f"There is no accelerator {accelerator}.")
    machines(context).define(spec, accelerator)
    return {"accelerator": accelerator, "serial_log": spec.serial_log}


@effect("vm.undefine", lane="long")
def vm_undefine(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid = uuid_check(arguments["uuid"])
    operation = arguments.get("operation")
    if operation and machines(context).locate(uuid).operation != operation:
        return {"removed": False}
    machines(context).undefine(uuid)
    return {"removed": True}


@effect("vm.start", lane="short", brings_work=True)
def vm_start(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.destroy."""
    uuid = uuid_check(arguments["uuid"])
    machines(context).start(uuid)
    return _state(machines(context).locate(uuid))


@effect("vm.stop", lane="short")
def vm_stop(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid = uuid_check(arguments["uuid"])
    timeout_s = min(float(arguments.get("timeout_s", 30.0)), max(1.0, progress.remaining_s() - 5.0))
    by = machines(context).stop(uuid, force=bool(arguments.get("force")), timeout_s=timeout_s)
    return _state(machines(context).locate(uuid)) | {"by": by}


@effect("vm.destroy", lane="short")
def vm_destroy(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid = uuid_check(arguments["uuid"])
    machines(context).destroy(uuid)
    return _state(machines(context).locate(uuid))


@effect("vm.pause", lane="short")
def vm_pause(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid = uuid_check(arguments["uuid"])
    machines(context).pause(uuid)
    return _state(machines(context).locate(uuid))


@effect("vm.resume", lane="short")
def vm_resume(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Lets a VM that arrived paused run; forward only, for from here the guest writes to its disks."""
    uuid = uuid_check(arguments["uuid"])
    machines(context).resume(uuid, int(arguments["generation"]))
    for disk in machines(context).describe(uuid).disks:
        context.state.flag_set(migrate.prepared_flag(disk.path), None)
    return _state(machines(context).locate(uuid))


@effect("vm.reset", lane="short")
def vm_reset(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; what the guest was doing is gone."""
    uuid = uuid_check(arguments["uuid"])
    machines(context).reset(uuid)
    return _state(machines(context).locate(uuid))


@effect("vm.save", lane="long")
def vm_save(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.start, which brings back the saved memory."""
    uuid = uuid_check(arguments["uuid"])
    progress.update("writing its memory to the host's disk", at_once=True)
    machines(context).save(uuid)
    return _state(machines(context).locate(uuid))


@effect("vm.resize", lane="short")
def vm_resize(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.resize with what it had."""
    vcpus, memory_mib = size_check(arguments["cpu_cores"], arguments["memory_mib"])
    now = machines(context).resize(uuid_check(arguments["uuid"]), vcpus, memory_mib)
    return {
        "cpu_cores": now.vcpus,
        "memory_mib": now.memory_mib,
        "cpu_why": now.vcpus_why,
        "memory_why": now.memory_why,
    }


@effect("vm.snapshot_take", lane="long", brings_work=True)
def vm_snapshot_take(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.snapshot_delete with the operation's uuid, so that nobody else's snapshot is touched."""
    uuid, name = uuid_check(arguments["uuid"]), name_check(arguments["name"], "snapshot")
    vm = machines(context).describe(uuid)
    disk = next((disk for disk in vm.disks if disk.format == "qcow2" and not disk.read_only), None)
    if disk is not None and machines(context).locate(uuid).state not in ("stopped", "crashed"):
        # A full file system pauses the guest and keeps what was written so far (pitfalls M22).
        volumes(context).room_check(path_check(disk.path), vm.memory_mib * 2**20)
    progress.update("taking the snapshot", at_once=True)
    machines(context).snapshot_take(uuid, name, uuid_check(arguments["operation"]))
    return _snapshots(context, uuid)


@effect("vm.snapshot_revert", lane="long", brings_work=True)
def vm_snapshot_revert(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; what the VM was meanwhile is gone, as was asked for."""
    uuid = uuid_check(arguments["uuid"])
    progress.update("going back to the snapshot", at_once=True)
    machines(context).snapshot_revert(uuid, str(arguments["name"])[:255])
    vcpus, memory_mib = machines(context).next_size(uuid)
    told = {"next_size": {"cpu_cores": vcpus, "memory_mib": memory_mib}}
    return _snapshots(context, uuid) | _state(machines(context).locate(uuid)) | told


@effect("vm.snapshot_delete", lane="long")
def vm_snapshot_delete(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none. With an operation only the snapshot that it took."""
    uuid = uuid_check(arguments["uuid"])
    operation = uuid_check(arguments["operation"]) if arguments.get("operation") else ""
    machines(context).snapshot_delete(uuid, str(arguments["name"])[:255], operation)
    return _snapshots(context, uuid)


@effect("vm.stamp", lane="short")
def vm_stamp(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid = uuid_check(arguments["uuid"])
    operation = uuid_check(arguments["operation"]) if arguments.get("operation") else ""
    machines(context).stamp(uuid, int(arguments["generation"]), operation)
    return {}


def _snapshots(context: PlaneContext, uuid: str) -> Data:
    return {"snapshots": [snapshot.to_data() for snapshot in machines(context).snapshots(uuid)]}


def _state(location: Location) -> Data:
    return {"state": location.state, "reason": location.reason}


def _accelerator_probed(context: PlaneContext) -> str:
    """What the trial boot of this host found; without one TCG, which runs everywhere."""
    trial = json.loads(context.state.flag(TRIAL) or "{}")
    return str(trial.get("answer", {}).get("accelerator", "tcg"))


def _refuse_foreign_boot_files(context: PlaneContext, spec: VmSpec) -> None:
    """A kernel or initrd from outside the pools could carry any file of the host into a guest."""
    roots = [context.config.image_cache, *(pool.path for pool in context.config.pools)]
    for path in (spec.kernel, spec.initrd):
        if path and not any(path.startswith(root.rstrip("/") + "/") for root in roots):
            raise Refused("A kernel or initrd must lie in one of the host's pools or its image cache.", path)


__all__ = ["vm_cdrom", "vm_copies", "vm_devices"]  # its effects come with these
