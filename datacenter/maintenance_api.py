"""The API of maintenance runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status

from datacenter.models import MaintenanceRun
from datacenter.questions_api import site_found
from datacenter.services import maintaining as services
from datacenter.services.draining import drain_lines
from hosts.api import OPERATE, VIEW, host_found
from hosts.errors import Invalid, NotFound
from hosts.models import Rack

router = Router(tags=["maintenance"])


class DrainLineOut(Schema):
    workload: str
    name: str
    kind: str
    target: str
    seconds: float
    blackout_ms: float
    moved_mib: float
    why_not: str


class MemberOut(Schema):
    number: int
    host_name: str
    state: str
    plan_id: UUID | None
    shut_down: list[str]


class MaintenanceOut(Schema):
    uuid: UUID
    about: str
    hook: str
    state: str
    sentence: str
    user_name: str
    created_at: datetime
    finished_at: datetime | None
    members: list[MemberOut]

    @staticmethod
    def resolve_members(row: Any) -> list[Any]:
        return list(row.members.all())


class MaintenanceDetailOut(MaintenanceOut):
    """`workloads` says of a single host where each workload goes; null while the planner is at work."""

    workloads: list[DrainLineOut] | None

    @staticmethod
    def resolve_workloads(row: Any) -> list[Any] | None:
        member = row.members.select_related("plan", "host").first()
        return drain_lines(member) if member and row.hook == MaintenanceRun.Hook.STAY else None


class MaintenanceIn(Schema):
    """A `host` to be emptied after your approval, or a `site` or `rack` of it to be taken host after host.

    Each host of those waits for your word; with `is_cycled` it is switched off and woken instead.
    """

    host: UUID | None = None
    site: int | None = None
    rack: str = ""
    is_cycled: bool = False


class BeginIn(Schema):
    shut_down: list[UUID] = []


class WorkDoneIn(Schema):
    number: int


def run_found(uuid: UUID) -> MaintenanceRun:
    run = MaintenanceRun.objects.filter(pk=uuid).first()
    if run is None:
        raise NotFound("There is no such maintenance.")
    return run


@router.get("", response=list[MaintenanceOut], auth=VIEW)
def maintenance_list(request: HttpRequest, limit: int = Query(50, ge=1, le=200)) -> list[MaintenanceRun]:
    return list(MaintenanceRun.objects.prefetch_related("members")[:limit])


@router.post("", response={202: MaintenanceOut}, auth=OPERATE)
def maintenance_request(request: HttpRequest, payload: MaintenanceIn) -> Status[MaintenanceRun]:
    if (payload.host is None) == (payload.site is None):
        raise Invalid("Name either a host or a site.", field="host")
    if payload.host is not None:
        return Status(202, services.maintenance_drain(request.user, host_found(payload.host)))
    site = site_found(payload.site or 0)
    rack = Rack.objects.filter(site=site, name=payload.rack).first()
    if payload.rack and rack is None:
        raise NotFound(f"There is no rack {payload.rack[:63]} at {site}.")
    return Status(202, services.maintenance_roll(request.user, site, rack=rack, is_cycled=payload.is_cycled))


@router.get("/{uuid:uuid}", response=MaintenanceDetailOut, auth=VIEW)
def maintenance_one(request: HttpRequest, uuid: UUID) -> MaintenanceRun:
    return run_found(uuid)


@router.post("/{uuid:uuid}/begin", response=MaintenanceOut, auth=OPERATE)
def maintenance_begin(request: HttpRequest, uuid: UUID, payload: BeginIn) -> MaintenanceRun:
    """Carries out the proposal; workloads in `shut_down` can't leave and are shut down."""
    return services.maintenance_begin(request.user, run_found(uuid), shut_down=payload.shut_down)


@router.post("/{uuid:uuid}/pause", response=MaintenanceOut, auth=OPERATE)
def maintenance_pause(request: HttpRequest, uuid: UUID) -> MaintenanceRun:
    return services.maintenance_pause(request.user, run_found(uuid))


@router.post("/{uuid:uuid}/resume", response=MaintenanceOut, auth=OPERATE)
def maintenance_resume(request: HttpRequest, uuid: UUID) -> MaintenanceRun:
    return services.maintenance_resume(request.user, run_found(uuid))


@router.post("/{uuid:uuid}/stop", response=MaintenanceOut, auth=OPERATE)
def maintenance_stop(request: HttpRequest, uuid: UUID) -> MaintenanceRun:
    return services.maintenance_stop(request.user, run_found(uuid))


@router.post("/{uuid:uuid}/work-done", response=MaintenanceOut, auth=OPERATE)
def maintenance_work_done(request: HttpRequest, uuid: UUID, payload: WorkDoneIn) -> MaintenanceRun:
    """Says that the work on that host is done; refused unless the host answers again."""
    return services.maintenance_work_done(request.user, run_found(uuid), payload.number)
