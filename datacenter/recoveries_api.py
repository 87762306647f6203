"""The API of recoveries of lost hosts."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema

from datacenter.models import Recovery
from datacenter.services import recovering as services
from hosts.api import OPERATE, VIEW
from hosts.errors import NotFound

router = Router(tags=["recoveries"])


class RecoveredOut(Schema):
    name: str
    state: str
    sentence: str
    target: str | None

    @staticmethod
    def resolve_target(row: Any) -> str | None:
        return row.target.name if row.target else None


class RecoveryOut(Schema):
    uuid: UUID
    host: str
    state: str
    sentence: str
    evidence: list[str]
    lost_since: datetime
    created_at: datetime
    fenced_at: datetime | None
    finished_at: datetime | None
    declared_dead_by: str
    detect_seconds: float
    fence_seconds: float | None
    start_seconds: float | None
    workloads: list[RecoveredOut]

    @staticmethod
    def resolve_host(row: Any) -> str:
        return str(row.host.name)

    @staticmethod
    def resolve_workloads(row: Any) -> list[Any]:
        return list(row.workloads.select_related("target"))


class DeadIn(Schema):
    name: str


def recovery_found(uuid: UUID) -> Recovery:
    recovery = Recovery.objects.select_related("host__rack__site").filter(pk=uuid).first()
    if recovery is None:
        raise NotFound("There is no such recovery.")
    return recovery


@router.get("", response=list[RecoveryOut], auth=VIEW)
def recovery_list(request: HttpRequest, limit: int = Query(50, ge=1, le=200)) -> list[Recovery]:
    return list(Recovery.objects.select_related("host")[:limit])


@router.post("/{uuid:uuid}/begin", response=RecoveryOut, auth=OPERATE)
def recovery_begin(request: HttpRequest, uuid: UUID) -> Recovery:
    """Fences the host and, once that is confirmed, restarts its VMs elsewhere."""
    services.recovery_begin(request.user, recovery_found(uuid))
    return recovery_found(uuid)


@router.post("/{uuid:uuid}/declare-dead", response=RecoveryOut, auth=OPERATE)
def recovery_declare_dead(request: HttpRequest, uuid: UUID, payload: DeadIn) -> Recovery:
    """Takes an administrator's word that the host is dead, by its name."""
    services.recovery_declare_dead(request.user, recovery_found(uuid), typed=payload.name)
    return recovery_found(uuid)
