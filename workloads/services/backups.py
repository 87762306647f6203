"""Keeping what VMs have on their disks, and making VMs from it again."""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from django.db import transaction

from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.credentials import password_encrypt
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation, PoolMount
from hosts.operations.start import operation_start
from hosts.publish import publish_change
from hosts.services.doors import User, busy_with, name_check, refuse_if, refuse_unless
from hosts.units import GIB
from workloads.backup_chains import chain_of
from workloads.backup_manifest import hardware_kept
from workloads.drivers.seed_image import WIPED
from workloads.models import Backup, BackupFolder, VirtualMachine, VmSeed, Workload
from workloads.sagas.backups import link_of
from workloads.services.abilities import abilities_of_vm, refuse_unable
from workloads.services.capacity import Need, pool_choose, refuse_without_disk_room
from workloads.services.cloning import TARGETS
from workloads.services.operating import operate
from workloads.services.vms import (
    SEED_FILE,
    SEED_GIB,
    disk_row,
    mac_address,
    name_free_check,
    vm_reserve,
    vm_spec,
)
from workloads.states import why_no_backup_verb, why_not_reached

CHAIN_MOST = 60  # a restore reads all of them, and each is one more that may be damaged
KEEP_MOST = 1000
PATH_MOST = 300


def vm_back_up(
    user: User, vm: Workload, *, kind: str = "incremental", keep: int = 0, idempotency_key: str | None = None
) -> Operation:
    """Begins to write a backup of all the VM's disks into its host's folder, on or off.

    An incremental one holds what changed since the last; where that is not known a full one is made instead, and says
    why. `keep`: of its full backups on that host the newest so many stay, with all that rests on them; 0 keeps all.
    """
    refuse_unless(user, "operate", vm)
    backup_wish(vm, kind, keep)
    own = VirtualMachine.objects.select_related("host__backup_folder").filter(pk=vm.pk).first()
    since = _newest_noted(own) if own is not None and kind == Backup.Kind.INCREMENTAL else None
    parameters: dict[str, Any] = {
        "backup": str(uuids.uuid4()),
        "folder": _folder_of(own.host) if own is not None else "",
        "kind": kind,
        "keep": keep,
        "spec": _spec_kept(own) if own is not None else {},
        "since": _since(since) if since else None,
    }
    leases = [("backup", str(since.pk))] if since else []
    return operate(user, vm, "back_up", "back_up_vm", idempotency_key, parameters, leases=leases)


def backup_wish(workload: Workload, kind: str = "incremental", keep: int = 0) -> dict[str, Any]:
    """What a backup is asked for, as schedules keep it; raises Invalid with the field for what could never be."""
    if workload.kind != Workload.Kind.VM:
        raise Invalid(f"{workload.name} is a container; only a VM can be backed up.", field="workload")
    if kind not in Backup.Kind.values:
        raise Invalid("A backup is full or incremental.", field="kind")
    if not 0 <= keep <= KEEP_MOST:
        raise Invalid(f"Keep 1 to {KEEP_MOST} full backups, or 0 for all.", field="keep")
    return {"kind": kind, "keep": keep}


def backup_verify(user: User, backup: Backup, *, idempotency_key: str | None = None) -> Operation:
    """Begins to add up the checksums of the backup and all that it rests on, and to look through their images."""
    return _begin(user, backup, "verify", "verify_backup", idempotency_key)


def backup_delete(user: User, backup: Backup, *, idempotency_key: str | None = None) -> Operation:
    """Begins to delete a backup for good; one that others rest on is Refused."""

    def mark(_operation: Operation) -> None:
        if Backup.objects.filter(parent=backup).exists():
            raise Refused("A later backup rests on this one. Delete that first.")
        Backup.objects.filter(pk=backup.pk).update(state=Backup.State.REMOVING)

    return _begin(user, backup, "delete", "delete_backup", idempotency_key, before_start=mark)


def backup_restore(
    user: User, backup: Backup, *, name: str, host: Host | None = None, idempotency_key: str | None = None
) -> Operation:
    """Begins to make a VM of that name from the backup: its own UUID and addresses, and off at the end.

    On another host than the backup's own it needs a folder that both see. Raises Invalid for a name that is none or
    is taken, Refused without room or when the backup is known to be damaged.
    """
    refuse_unless(user, "operate", backup)
    name = name_check(name)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    backup = Backup.objects.select_related("host", "parent").get(pk=backup.pk)
    host = host or backup.host
    refuse_if(why_no_backup_verb(backup, "restore", host=host, busy=busy_with("backup", backup.pk)))
    assert host is not None
    name_free_check(name)
    vm = _row_restored(user, backup, name, host)
    refuse_unable(host, abilities_of_vm(vm))
    chain, parameters = chain_of(backup), {}
    seed = _seed_restored(backup, vm, host)
    if seed is not None:
        parameters["seed_path"] = vm.disks[-1]["path"]
    spec = vm_spec(vm)
    need = Need(vm.cpu_cores, 0, vm.disk_gib, name, Workload.Kind.VM)

    def reserve(operation: Operation) -> None:
        # Another may have begun to remove a part of it since.
        if Backup.objects.filter(pk__in=[link.pk for link in chain], state=Backup.State.READY).count() < len(chain):
            raise Refused("A part of the backup is damaged or being removed, so it cannot be restored.")
        for disk in vm.disks:
            refuse_without_disk_room(host, disk["path"], disk["size_gib"])
        vm_reserve(user, vm, need, seed, operation)

    return operation_start(
        "restore_vm",
        user=user,
        subject=("vm", str(vm.uuid), vm.name),
        parameters={
            "workload": str(vm.uuid),
            "host": str(host.pk),
            "backup": str(backup.pk),
            "spec": spec,
            "chain": [link_of(link) for link in chain],
            **parameters,
        },
        host=host,
        leases=[("backup", str(link.pk)) for link in chain],
        idempotency_key=idempotency_key,
        before_start=reserve,
    )


def backups_find(user: User, host: Host, *, idempotency_key: str | None = None) -> Operation:
    """Begins to look into the host's folder for backups that are not known here, as after the loss of the database."""
    refuse_unless(user, "operate", host)
    refuse_if(why_not_reached(host))
    return operation_start(
        "find_backups",
        user=user,
        subject=("backup_folder", str(host.pk), host.name),
        parameters={"host": str(host.pk), "folder": _folder_of(host)},
        host=host,
        idempotency_key=idempotency_key,
    )


@transaction.atomic
def backup_folder_set(user: User, host: Host, path: str) -> None:
    """The folder for backups from now on; an empty path: the first that the host allows. Older ones stay there.

    Whether the host allows it, it says when the next backup is written.
    """
    refuse_unless(user, "administer", host)
    path = path.strip()
    is_plain = path.startswith("/") and path.isprintable() and "//" not in path and ".." not in path.split("/")
    if path and not (is_plain and len(path) <= PATH_MOST and path != "/"):
        raise Invalid("Name the folder by its full path, without “..”, such as /srv/backups.", field="path")
    if path:
        BackupFolder.objects.update_or_create(host=host, defaults={"path": path.rstrip("/")})
    else:
        BackupFolder.objects.filter(host=host).delete()
    audit_write(user, "backup_folder_set", "host", host.pk, host.name, path=path)
    publish_change("host", host.pk, "backup folder")


def _begin(user: User, backup: Backup, verb: str, kind: str, idempotency_key: str | None, **start: Any) -> Operation:
    refuse_unless(user, "operate", backup)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    backup = Backup.objects.select_related("host", "parent").get(pk=backup.pk)
    refuse_if(why_no_backup_verb(backup, verb, busy=busy_with("backup", backup.pk)))
    chain = chain_of(backup) if verb == "verify" else [backup]
    return operation_start(
        kind,
        user=user,
        subject=("backup", str(backup.pk), str(backup)),
        parameters={"host": str(backup.host_id), "chain": [link_of(link) for link in chain]},
        host=backup.host,
        leases=[("backup", str(link.pk)) for link in chain],
        idempotency_key=idempotency_key,
        **start,
    )


def _folder_of(host: Host | None) -> str:
    folder = BackupFolder.objects.filter(host=host).first() if host else None
    return folder.path if folder else ""


def _newest_noted(vm: VirtualMachine) -> Backup | None:
    """The newest backup from which on its host notes what changes; None when that is no ground to build on."""
    rows = Backup.objects.filter(vm_uuid=vm.pk, host=vm.host).exclude(checkpoint="").select_related("parent")
    newest = rows.first()
    if newest is None:
        return None
    chain = chain_of(newest)
    is_sound = all(link.state == Backup.State.READY for link in chain)
    return newest if is_sound and len(chain) < CHAIN_MOST else None


def _since(backup: Backup) -> dict[str, Any]:
    sizes = {file["target"]: file["virtual_bytes"] for file in backup.files}
    return {"backup": str(backup.pk), "checkpoint": backup.checkpoint, "folder": backup.folder, "sizes": sizes}


def _spec_kept(vm: VirtualMachine) -> dict[str, Any]:
    """What the VM is, apart from what it was told at its first boot."""
    spec = vm_spec(vm)
    disks: Any = spec["disks"]
    spec["disks"] = [disk for disk in disks if not str(disk["path"]).endswith(SEED_FILE)]
    return spec


def _row_restored(user: User, backup: Backup, name: str, host: Host) -> VirtualMachine:
    """The VM as it will be, its disks in the pools that they were in, where the host has these."""
    spec, uuid = backup.spec, uuids.uuid4()
    kept = {str(disk["target"]): disk for disk in spec.get("disks") or ()}
    disks = []
    for file in backup.files:
        target = str(file["target"])
        size_gib = max(int(file["virtual_bytes"]) / GIB, float(kept.get(target, {}).get("size_gib") or 0))
        mount = _mount(host, str(kept.get(target, {}).get("path") or ""), size_gib)
        disks.append(disk_row(uuid, mount, target, f"{target}.qcow2", "qcow2", size_gib))
    bridges = [str(nic["bridge"]) for nic in spec.get("nics") or ()]
    return VirtualMachine(
        uuid=uuid,
        kind=Workload.Kind.VM,
        name=name,
        host=host,
        owner=account_of(user),
        desired=Workload.Desired.STOPPED,
        state=Workload.State.CREATING,
        cpu_cores=int(spec.get("vcpus") or 1),
        memory_mib=int(spec.get("memory_mib") or 128),
        disk_gib=sum(disk["size_gib"] for disk in disks),
        **hardware_kept(spec),
        disks=disks,
        bridges=list(dict.fromkeys(bridges)),
        nics=[
            {"bridge": bridge, "mac": mac_address(uuids.uuid4() if number else uuid)}
            for number, bridge in enumerate(bridges)
        ],
        has_cdrom=bool(spec.get("has_cdrom")),
    )


def _seed_restored(backup: Backup, vm: VirtualMachine, host: Host) -> VmSeed | None:
    """The small disk by which the guest's cloud-init knows itself again: with the new addresses, without secrets."""
    files = {name: str(text) for name, text in (backup.spec.get("seed") or {}).items()}
    if "meta-data" not in files:
        return None
    for old, new in zip(backup.spec.get("nics") or (), vm.nics, strict=False):
        if "network-config" in files and old.get("mac"):
            files["network-config"] = files["network-config"].replace(str(old["mac"]), new["mac"])
    target = next(target for target in TARGETS if target not in {disk["target"] for disk in vm.disks})
    vm.disks.append(disk_row(vm.uuid, _mount(host, vm.disks[0]["path"], SEED_GIB), target, SEED_FILE, "raw", SEED_GIB))
    text = json.dumps(files | {"user-data": WIPED})
    return VmSeed(vm_id=vm.uuid, files_encrypted=password_encrypt(text))


def _mount(host: Host, path: str, size_gib: float) -> PoolMount:
    mounts = PoolMount.objects.filter(host=host, path=path.rpartition("/")[0]).select_related("pool")
    return mounts.first() or pool_choose(host, size_gib)
