"""The autopilot over HTTP: what it may do, what it decided and why, and the switch that stops it everywhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema

from datacenter.models import Autopilot, AutopilotDecision
from datacenter.questions_api import site_found
from datacenter.services.autopilot import autopilot_edit, autopilot_of, autopilot_stop
from hosts.api import ADMINISTER, OPERATE, VIEW
from hosts.models import Site

router = Router(tags=["autopilot"])


class AutopilotIn(Schema):
    """What is left out stays as it is. `packing` and `relief`: off, recommend, approve or automatic."""

    packing: str | None = None
    relief: str | None = None
    time_zone: str | None = None
    windows: str | None = None  # a line each: "dense daily 22:00-05:00"
    cool_down_minutes: int | None = None
    moves_per_hour: int | None = None
    pays_back_hours: float | None = None
    overloaded_for_s: int | None = None


class DecisionOut(Schema):
    goal: str
    outcome: str
    sentence: str
    plan: UUID | None
    first_at: datetime
    last_at: datetime
    times: int

    @staticmethod
    def resolve_plan(row: Any) -> UUID | None:
        return row.plan_id


class AutopilotOut(Schema):
    site: int
    name: str
    packing: str
    relief: str
    time_zone: str
    windows: str
    cool_down_minutes: int
    moves_per_hour: int
    pays_back_hours: float
    overloaded_for_s: int

    @staticmethod
    def resolve_site(row: Autopilot) -> int:
        return row.site.pk

    @staticmethod
    def resolve_name(row: Autopilot) -> str:
        return row.site.name


class StoppedOut(Schema):
    """The sites at which it was on."""

    sites: list[str]


@router.get("", response=list[AutopilotOut], auth=VIEW)
def autopilot_list(request: HttpRequest) -> list[Autopilot]:
    return [autopilot_of(site) for site in Site.objects.order_by("name")]


@router.post("/stop", response=StoppedOut, auth=OPERATE)
def autopilot_stop_all(request: HttpRequest) -> dict[str, Any]:
    return {"sites": autopilot_stop(request.user)}


@router.put("/{int:site_id}", response=AutopilotOut, auth=ADMINISTER)
def autopilot_change(request: HttpRequest, site_id: int, payload: AutopilotIn) -> Autopilot:
    return autopilot_edit(request.user, site_found(site_id), payload.dict(exclude_none=True))


@router.get("/{int:site_id}/decisions", response=list[DecisionOut], auth=VIEW)
def decision_list(request: HttpRequest, site_id: int, limit: int = Query(50, ge=1, le=200)) -> list[AutopilotDecision]:
    return list(AutopilotDecision.objects.filter(site=site_found(site_id))[:limit])
