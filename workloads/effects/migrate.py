"""Effects of moving a VM live: judged and prepared on the destination, sent and cleaned up on the source."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import asdict, fields
from typing import Any

from hosts.errors import Invalid, Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.base import DescribedDisk, MigrationOrder, MigrationProgress, VmDescription
from workloads.drivers.specs import path_check, uuid_check
from workloads.effects.disks_in_use import refuse_disks_in_use
from workloads.effects.drivers import machines, volumes

Data = dict[str, Any]
DEFAULT_TIMEOUT_S = 900.0
# No query: "?command=" of a qemu+ssh URI names a program to run.
_DESTINATION = re.compile(r"qemu\+(tcp|tls|ssh|unix)://[A-Za-z0-9@._:\[\]-]*/(system|session)")
_STREAM = re.compile(r"(tcp|tls|rdma)://[A-Za-z0-9._:\[\]-]+/?")
_OFF = ("stopped", "crashed")


@effect("vm.migrate_check", lane="short", is_exclusive=False, brings_work=True)
def vm_migrate_check(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """On the destination: Refused with every reason why the VM cannot come."""
    vm = VmDescription.from_data(arguments["vm"])
    copied = arguments.get("copied_targets")
    if copied is None:
        copied = [disk.target for disk in vm.disks if not disk.read_only] if arguments.get("copied") else []
    bridges = arguments.get("bridges")
    machines(context).migrate_check(vm, copied_targets=copied, bridges=vm.bridges if bridges is None else bridges)
    outside = [d.path for d in vm.disks if d.target in copied and volumes(context).pool_of(d.path) is None]
    if outside:
        raise Refused(
            f"{context.config.name} has no pool at {posixpath.dirname(outside[0])}, where {vm.name} keeps a disk."
        )
    return {}


@effect("vm.migrate_prepare", lane="long", brings_work=True)
def vm_migrate_prepare(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: vm.migrate_unprepare. Paths are noted before they are made, so a run cut short is known as ours."""
    known = {field.name for field in fields(DescribedDisk)}
    disks = [DescribedDisk(**{k: v for k, v in d.items() if k in known}) for d in arguments.get("disks") or ()]
    folders = [path_check(folder) for folder in arguments.get("socket_folders") or ()]
    if arguments.get("serial_log"):
        folders.append(posixpath.dirname(path_check(arguments["serial_log"])))
    disks = [disk for disk in disks if not disk.read_only]
    files = volumes(context)
    refuse_disks_in_use(context, [disk.path for disk in disks])
    files.target_unprepare([d.path for d in disks if context.state.flag(prepared_flag(d.path))])
    for disk in disks:
        files.refuse_existing(disk.path)
    for disk in disks:
        context.state.flag_set(prepared_flag(disk.path), "yes")
    return {"created": files.target_prepare(disks, folders)}


@effect("vm.migrate_unprepare", lane="long")
def vm_migrate_unprepare(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Removes what vm.migrate_prepare made, unless a VM of this host has it by now.

    Of `created` only what this host noted as its own making: after a lost or failed prepare the caller can but name
    all paths that might have been made, and a file that was there before is somebody's disk.
    """
    asked = [path_check(path) for path in arguments.get("created") or ()]
    created = [path for path in asked if context.state.flag(prepared_flag(path)) or os.path.isdir(path)]
    refuse_disks_in_use(context, created)
    volumes(context).target_unprepare(created)
    for path in created:
        context.state.flag_set(prepared_flag(path), None)
    return {}


@effect("vm.migrate", lane="long")
def vm_migrate(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """On the source. After any error ask both hosts by vm.locate: the error does not say where the VM is."""
    order = _order(arguments, progress)
    progress.beat_every(1.0)
    progress.update("starting to move", at_once=True)

    def tell(word: MigrationProgress) -> None:
        remaining_mib = word.data_remaining_bytes / 2**20
        progress.update(f"moving, {remaining_mib:.0f} MiB to go", word.percent, asdict(word))

    def is_cancelled() -> bool:
        return progress.remaining_s() > 0 and progress.is_aborted()

    result = machines(context).migrate(order, tell, is_cancelled)
    return asdict(result)


@effect("vm.clean_source", lane="long")
def vm_clean_source(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Forward only: removes what a VM left on the host that it moved away from; its disks are set aside."""
    uuid = uuid_check(arguments["uuid"])
    location = machines(context).locate(uuid)
    if location.present and location.state not in _OFF:
        raise Refused(f"The VM is still here and {location.reason}; nothing was cleaned.")
    if location.present:
        machines(context).undefine(uuid)
    machines(context).nvram_forget(uuid)
    paths = [path_check(path) for path in arguments.get("copied_paths") or ()]
    refuse_disks_in_use(context, paths)
    left = volumes(context).quarantine(paths)
    _flags_clear(context, paths)
    return {"left": left}


def _flags_clear(context: PlaneContext, paths: list[str]) -> None:
    for path in paths:
        context.state.flag_set(prepared_flag(path), None)


def prepared_flag(path: str) -> str:
    """The flag in the state file that says: this file was made for a VM that has not arrived yet."""
    return f"prepared {path}"


def _order(arguments: Data, progress: Progress) -> MigrationOrder:
    for pattern, key in ((_DESTINATION, "destination_uri"), (_STREAM, "migration_uri")):
        if not pattern.fullmatch(str(arguments[key])):
            raise Invalid("The move names its destination by an address that is not plain.", str(arguments[key]))
    # The step's own end comes later, so that a move that is too slow is aborted and reported as such.
    timeout_s = min(float(arguments.get("timeout_s") or DEFAULT_TIMEOUT_S), progress.remaining_s() * 0.9)
    return MigrationOrder(
        uuid_check(arguments["uuid"]),
        arguments["destination_uri"],
        arguments["migration_uri"],
        tuple(arguments.get("copied_targets") or ()),
        int(arguments.get("bandwidth_mib_s") or 0),
        timeout_s,
        int(arguments.get("generation") or 0),
        bool(arguments.get("auto_converge", True)),
    )
