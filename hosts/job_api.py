"""Another job for a host, and the records of hosts that left, over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from hosts import services
from hosts.api import ADMINISTER, OPERATE, VIEW, host_found
from hosts.errors import NotFound
from hosts.models import Decommission, HostJob

router = Router(tags=["jobs of hosts"])
decommissioned = Router(tags=["decommissioned hosts"])


class JobIn(Schema):
    """`kind`: spare, qa, development, lab or other. `until`: the day it shall come back, if any."""

    kind: str = Field(max_length=11)
    note: str = Field("", max_length=200)
    until: date | None = None


class JobOut(Schema):
    kind: str
    note: str
    until: date | None
    given_by_name: str
    given_at: datetime


class DecommissionIn(Schema):
    """`name` is the host's, typed by whoever does it."""

    name: str = Field(max_length=63)
    is_wiped: bool
    note: str = Field("", max_length=500)


class DecommissionOut(Schema):
    """`is_genuine`: the signature is that of `document` under this installation's key."""

    uuid: UUID
    host_name: str
    at: datetime
    document: dict[str, Any]
    signature: str
    is_genuine: bool

    @staticmethod
    def resolve_is_genuine(record: Decommission) -> bool:
        return services.is_genuine(record)


@router.put("/{uuid:uuid}/job", response=JobOut, auth=OPERATE)
def host_job_give(request: HttpRequest, uuid: UUID, payload: JobIn) -> HostJob:
    return services.host_job_give(request.user, host_found(uuid), **payload.dict())


@router.delete("/{uuid:uuid}/job", response={204: None}, auth=OPERATE)
def host_job_end(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.host_job_end(request.user, host_found(uuid))
    return Status(204, None)


@router.post("/{uuid:uuid}/decommission", response=DecommissionOut, auth=ADMINISTER)
def host_decommission(request: HttpRequest, uuid: UUID, payload: DecommissionIn) -> Decommission:
    values = payload.dict()
    return services.host_decommission(request.user, host_found(uuid), typed=values.pop("name"), **values)


@decommissioned.get("", response=list[DecommissionOut], auth=VIEW)
def decommissioned_list(request: HttpRequest) -> list[Decommission]:
    return list(Decommission.objects.all()[:200])


@decommissioned.get("/{uuid:uuid}", response=DecommissionOut, auth=VIEW)
def decommissioned_one(request: HttpRequest, uuid: UUID) -> Decommission:
    record = Decommission.objects.filter(pk=uuid).first()
    if record is None:
        raise NotFound("There is no such record.")
    return record
