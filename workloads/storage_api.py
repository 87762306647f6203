"""Storage pools and their files over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status

from hosts.api import OPERATE, VIEW
from hosts.errors import NotFound
from hosts.models import Operation, PoolFile
from hosts.schemas import OperationOut
from workloads import services
from workloads.storage import FileLine, PoolView, pools_viewed

router = Router(tags=["storage"])


class PoolFileOut(Schema):
    """`what` is "disk", "first-boot disk", "set aside", "left over" or "other"; `why_not`: why it cannot be removed."""

    uuid: UUID
    name: str
    what: str
    sentence: str
    owner: UUID | None
    size_bytes: int
    used_bytes: int
    changed_at: datetime
    why_not: str | None


class PoolOut(Schema):
    """`shared` is proved by a marker that every one of `hosts` reads in it."""

    pool_id: str
    name: str
    shared: bool
    hosts: list[str]
    capacity_gib: float
    free_gib: float
    promised_gib: float
    files: list[PoolFileOut]


@router.get("", response=list[PoolOut], auth=VIEW)
def pool_list(request: HttpRequest) -> list[dict[str, Any]]:
    return [_pool_told(view) for view in pools_viewed()]


@router.delete("/files/{uuid:uuid}", response={202: OperationOut}, auth=OPERATE)
def pool_file_remove(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    file = PoolFile.objects.select_related("pool").filter(pk=uuid).first()
    if file is None:
        raise NotFound("There is no such file in a pool. It may have been removed.")
    return Status(202, services.pool_file_remove(request.user, file))


def _pool_told(view: PoolView) -> dict[str, Any]:
    return {
        "pool_id": view.pool.pool_id,
        "name": view.pool.name,
        "shared": view.is_shared,
        "hosts": [mount.host.name for mount in view.mounts],
        "capacity_gib": view.capacity_gib,
        "free_gib": view.free_gib,
        "promised_gib": round(view.promised_gib, 3),
        "files": [_file_told(line) for line in view.lines],
    }


def _file_told(line: FileLine) -> dict[str, Any]:
    return {
        "uuid": line.file.pk,
        "name": line.file.name,
        "what": line.what,
        "sentence": line.sentence,
        "owner": line.owner.pk if line.owner else None,
        "size_bytes": line.file.size_bytes,
        "used_bytes": line.file.used_bytes,
        "changed_at": line.file.changed_at,
        "why_not": line.why_not,
    }
