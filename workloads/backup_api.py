"""Backups over HTTP. Those of one VM, and a new one, are among its own addresses."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema, Status

from hosts.api import ADMINISTER, OPERATE, VIEW, host_found
from hosts.errors import NotFound
from hosts.models import Operation
from hosts.schemas import OperationOut
from workloads import services
from workloads.api import vm_found
from workloads.models import Backup

router = Router(tags=["backups"])
of_vms = Router(tags=["backups"])


class BackupFileOut(Schema):
    """A disk's file: what it takes, and what the disk has room for."""

    target: str
    file: str
    size_bytes: int
    virtual_bytes: int
    sha256: str


class BackupOut(Schema):
    """`parent` is the backup that an incremental one adds to; `verified_at`: when it was last looked through."""

    uuid: UUID
    vm: UUID = Field(alias="vm_uuid")
    vm_name: str
    host: str = Field(alias="host_name")
    folder: str
    taken_at: datetime
    kind: str
    parent: UUID | None = Field(alias="parent_id")
    was_off: bool = Field(alias="is_at_rest")
    is_frozen: bool  # the guest's file systems stood still when it began; else it is as after a pulled plug
    not_frozen: str  # why not
    size_bytes: int
    state: str
    sentence: str
    verified_at: datetime | None
    files: list[BackupFileOut]


class BackUpIn(Schema):
    """`keep`: the newest so many full backups of the VM on its host stay, with what rests on them; 0: all."""

    kind: str = Field("incremental", max_length=11)
    keep: int = Field(0, ge=0, le=1000)


class RestoreIn(Schema):
    """`host`: another than the backup's own, that sees the same folder."""

    name: str = Field(max_length=63)
    host: UUID | None = None


class FolderIn(Schema):
    """Empty: the first folder that the host allows."""

    path: str = Field("", max_length=300)


def backup_found(uuid: UUID) -> Backup:
    backup = Backup.objects.select_related("host").filter(pk=uuid).first()
    if backup is None:
        raise NotFound("There is no such backup. It may have been deleted.")
    return backup


@of_vms.get("/{uuid:uuid}/backups", response=list[BackupOut], auth=VIEW)
def backups_of_vm(request: HttpRequest, uuid: UUID) -> QuerySet[Backup]:
    """Newest first; also of a VM that is gone."""
    return Backup.objects.filter(vm_uuid=uuid)


@of_vms.post("/{uuid:uuid}/backups", response={202: OperationOut}, auth=OPERATE)
def vm_back_up(request: HttpRequest, uuid: UUID, payload: BackUpIn) -> Status[Operation]:
    """Writes all disks of the VM, on or off, into its host's folder."""
    return Status(202, services.vm_back_up(request.user, vm_found(uuid), **payload.dict()))


@router.get("", response=list[BackupOut], auth=VIEW)
def backup_list(request: HttpRequest, vm_name: str = Query("", max_length=63)) -> QuerySet[Backup]:
    """Newest first, at most 1000."""
    rows = Backup.objects.all()
    return (rows.filter(vm_name=vm_name) if vm_name else rows)[:1000]


@router.get("/{uuid:uuid}", response=BackupOut, auth=VIEW)
def backup_one(request: HttpRequest, uuid: UUID) -> Backup:
    return backup_found(uuid)


@router.post("/{uuid:uuid}/verify", response={202: OperationOut}, auth=OPERATE)
def backup_verify(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    """Adds up the checksums of its files and of all that it rests on, and looks through the images."""
    return Status(202, services.backup_verify(request.user, backup_found(uuid)))


@router.post("/{uuid:uuid}/restore", response={202: OperationOut}, auth=OPERATE)
def backup_restore(request: HttpRequest, uuid: UUID, payload: RestoreIn) -> Status[Operation]:
    """Makes a new VM from it, with addresses of its own; it is off at the end."""
    host = host_found(payload.host) if payload.host else None
    return Status(202, services.backup_restore(request.user, backup_found(uuid), name=payload.name, host=host))


@router.delete("/{uuid:uuid}", response={202: OperationOut}, auth=OPERATE)
def backup_delete(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    """For good; refused while a later one rests on it."""
    return Status(202, services.backup_delete(request.user, backup_found(uuid)))


@router.post("/folders/{uuid:uuid}/find", response={202: OperationOut}, auth=OPERATE)
def backups_find(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    """Looks into that host's folder for backups that are not known here."""
    return Status(202, services.backups_find(request.user, host_found(uuid)))


@router.put("/folders/{uuid:uuid}", response={204: None}, auth=ADMINISTER)
def backup_folder_set(request: HttpRequest, uuid: UUID, payload: FolderIn) -> Status[None]:
    """The folder for the backups of that host's VMs from now on."""
    services.backup_folder_set(request.user, host_found(uuid), payload.path)
    return Status(204, None)
