"""Schedules over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Field, Router, Schema, Status

from hosts.api import OPERATE, VIEW, host_found
from hosts.errors import Invalid, NotFound
from workloads import services
from workloads.api import first_boot_of, images_of, workload_found
from workloads.backup_api import BackUpIn
from workloads.models import Schedule
from workloads.schemas import ContainerIn, VmIn

router = Router(tags=["schedules"])


class ScheduleIn(Schema):
    name: str = Field(max_length=63)
    verb: str = Field(max_length=20)
    workload: UUID | None = None
    vm: VmIn | None = None
    container: ContainerIn | None = None
    backup: BackUpIn | None = None
    at: datetime | None = None
    cron: str = Field("", max_length=100)
    time_zone: str = Field("UTC", max_length=64)
    missed: str = Field("skip", max_length=8)
    window_minutes: int = 15


class RunOut(Schema):
    due_at: datetime
    begun_at: datetime
    operation: UUID | None = Field(alias="operation_id")
    sentence: str


class ScheduleOut(Schema):
    uuid: UUID
    name: str
    verb: str
    workload: UUID | None = Field(alias="workload_id")
    cron: str
    time_zone: str
    missed: str
    window_minutes: int
    is_enabled: bool
    next_due_at: datetime | None
    owner: str = Field(alias="owner_name")
    runs: list[RunOut]

    @staticmethod
    def resolve_runs(schedule: Schedule) -> list[Any]:
        return list(schedule.runs.all()[:20])


class OnIn(Schema):
    on: bool


def schedule_found(uuid: UUID) -> Schedule:
    schedule = Schedule.objects.filter(pk=uuid).first()
    if schedule is None:
        raise NotFound("There is no such schedule. It may have been removed.")
    return schedule


@router.get("", response=list[ScheduleOut], auth=VIEW)
def schedule_list(request: HttpRequest) -> QuerySet[Schedule]:
    return Schedule.objects.prefetch_related("runs")


@router.get("/{uuid:uuid}", response=ScheduleOut, auth=VIEW)
def schedule_one(request: HttpRequest, uuid: UUID) -> Schedule:
    return schedule_found(uuid)


@router.post("", response={201: ScheduleOut}, auth=OPERATE)
def schedule_create(request: HttpRequest, payload: ScheduleIn) -> Status[Schedule]:
    """`verb` is one of a workload's, or create_vm with `vm`, or create_container with `container`.

    With back_up, `backup` says what it holds and how many full ones are kept.
    """
    values = payload.dict(exclude={"vm", "container", "workload", "backup"})
    if payload.verb == "back_up" and payload.backup is not None:
        values["wish"] = payload.backup.dict()
    if payload.at is not None and payload.at.tzinfo is None:
        raise Invalid("Write the time with its zone, for example 2026-12-01T06:30:00+01:00.", field="at")
    if payload.workload is not None:
        values["workload"] = workload_found(payload.workload)
    for verb, wish in (("create_vm", payload.vm), ("create_container", payload.container)):
        if payload.verb == verb and wish is None:
            raise Invalid("Say what shall be made.", field=verb.removeprefix("create_"))
        if payload.verb == verb and wish is not None:
            values["wish"] = wish.dict(exclude={"first_boot", "host", "image"} if verb == "create_vm" else {"host"})
            values["wish"]["host"] = host_found(wish.host) if wish.host else None
    if payload.verb == "create_vm" and payload.vm is not None:
        values["wish"] |= images_of(payload.vm)
        values["first_boot"] = first_boot_of(payload.vm)
    return Status(201, services.schedule_create(request.user, **values))


@router.post("/{uuid:uuid}/enable", response=ScheduleOut, auth=OPERATE)
def schedule_enable(request: HttpRequest, uuid: UUID, payload: OnIn) -> Schedule:
    return services.schedule_enable(request.user, schedule_found(uuid), on=payload.on)


@router.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def schedule_delete(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.schedule_delete(request.user, schedule_found(uuid))
    return Status(204, None)
