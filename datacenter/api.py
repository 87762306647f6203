"""The API at /api/: its assembly, and the routes of sites and plans. Errors are sentences."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Query, Router, Status
from ninja.errors import AuthenticationError, ValidationError

from datacenter import queries
from datacenter.alerts_api import alerts, notice_channels, silences
from datacenter.alerts_api import rules as alert_rules
from datacenter.autopilot_api import router as autopilot
from datacenter.history_api import router as histories
from datacenter.http_errors import status_of
from datacenter.losses_api import router as losses
from datacenter.maintenance_api import router as maintenance
from datacenter.models import Plan
from datacenter.questions_api import router as questions
from datacenter.questions_api import site_found
from datacenter.recoveries_api import router as recoveries
from datacenter.savings_api import router as savings
from datacenter.schemas import DifferenceOut, PlanDetailOut, PlanIn, PlanOut, PlanTextIn, SiteOut
from datacenter.services import plan_text
from datacenter.services import plans as services
from datacenter.services.savings import site_saving
from datacenter.services.undoing import plan_undo
from datacenter.wakes_api import router as wakes
from hosts.api import OPERATE, VIEW, host_found, operations
from hosts.api import router as hosts
from hosts.errors import NotFound, StowageError
from hosts.job_api import decommissioned
from hosts.job_api import router as host_jobs
from workloads.api import images
from workloads.api import router as workloads
from workloads.backup_api import of_vms as vm_backups
from workloads.backup_api import router as backups
from workloads.console_api import router as consoles
from workloads.container_image_api import registries
from workloads.container_image_api import router as container_images
from workloads.guest_api import of_vms as vm_guests
from workloads.image_upload_api import router as image_uploads
from workloads.measuring_api import router as measurements
from workloads.schedule_api import router as schedules
from workloads.storage_api import router as storage
from workloads.template_api import flavours, templates

sites = Router(tags=["sites"])
plans = Router(tags=["plans"])


@sites.get("", response=list[SiteOut], auth=VIEW)
def site_list(request: HttpRequest) -> list[dict[str, Any]]:
    """Sites with what they save now."""
    return [
        {
            "id": view.site.pk,
            "name": view.site.name,
            "host_count": view.host_count,
            "on_count": view.on_count,
            "saving": asdict(site_saving(view.site, view.hosts, view.values)),
        }
        for view in queries.overview()
    ]


def plan_found(uuid: UUID) -> Plan:
    plan = Plan.objects.select_related("site").filter(pk=uuid).first()
    if plan is None:
        raise NotFound("There is no such plan.")
    return plan


@plans.get("", response=list[PlanOut], auth=VIEW)
def plan_list(request: HttpRequest, limit: int = Query(50, ge=1, le=200)) -> QuerySet[Plan]:
    return Plan.objects.select_related("site").defer(*queries.KEEPS_FROM_LISTS)[:limit]


@plans.post("", response={202: PlanOut}, auth=OPERATE)
def plan_request(request: HttpRequest, payload: PlanIn) -> Status[Plan]:
    evacuate = host_found(payload.evacuate) if payload.evacuate else None
    return Status(202, services.plan_request(request.user, site_found(payload.site), evacuate=evacuate))


@plans.post("/import", response={202: PlanOut}, auth=OPERATE)
def plan_import(request: HttpRequest, payload: PlanTextIn) -> Status[Plan]:
    """A plan to where the text says, planned and proved anew in the data center as it is."""
    return Status(202, plan_text.plan_import(request.user, payload.dict()))


@plans.get("/{uuid:uuid}/text", response=PlanTextIn, auth=VIEW)
def plan_as_text(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    return plan_text.plan_text(plan_found(uuid))


@plans.get("/{uuid:uuid}/compare", response=list[DifferenceOut], auth=VIEW)
def plan_compare(request: HttpRequest, uuid: UUID, other: UUID) -> list[plan_text.Difference]:
    return plan_text.plans_compared(plan_found(uuid), plan_found(other))


@plans.get("/{uuid:uuid}", response=PlanDetailOut, auth=VIEW)
def plan_one(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    plan = plan_found(uuid)
    actions = [line.action for line in queries.plan_progress(plan).lines]
    return {"plan": plan, "actions": actions, "answer": plan.document.get("plan")}


@plans.post("/{uuid:uuid}/approve", response=PlanOut, auth=OPERATE)
def plan_approve(request: HttpRequest, uuid: UUID) -> Plan:
    services.plan_approve(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/reject", response=PlanOut, auth=OPERATE)
def plan_reject(request: HttpRequest, uuid: UUID) -> Plan:
    services.plan_reject(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/settle", response=PlanOut, auth=OPERATE)
def plan_settle(request: HttpRequest, uuid: UUID) -> Plan:
    """Ends the search of a plan that is being made, with the best found so far."""
    services.plan_settle(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/stop", response=PlanOut, auth=OPERATE)
def plan_stop(request: HttpRequest, uuid: UUID) -> Plan:
    services.plan_stop(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/pause", response=PlanOut, auth=OPERATE)
def plan_pause(request: HttpRequest, uuid: UUID) -> Plan:
    services.plan_pause(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/resume", response=PlanOut, auth=OPERATE)
def plan_resume(request: HttpRequest, uuid: UUID) -> Plan:
    services.plan_resume(request.user, plan_found(uuid))
    return plan_found(uuid)


@plans.post("/{uuid:uuid}/undo", response={202: PlanOut}, auth=OPERATE)
def plan_undone(request: HttpRequest, uuid: UUID) -> Status[Plan]:
    """A new plan that takes this one back, to be approved like any other."""
    return Status(202, plan_undo(request.user, plan_found(uuid)))


# The documentation page of django-ninja loads scripts from elsewhere: only the description itself is served.
api = NinjaAPI(title="Stowage", version="1", docs_url=None, openapi_url=None)
api.add_router("/hosts", hosts)
api.add_router("/hosts", host_jobs)
api.add_router("/decommissioned", decommissioned)
api.add_router("/operations", operations)
api.add_router("/workloads", workloads)
api.add_router("/workloads", vm_backups)
api.add_router("/workloads", vm_guests)
api.add_router("/backups", backups)
api.add_router("/images", images)
api.add_router("/container-images", container_images)
api.add_router("/image-uploads", image_uploads)
api.add_router("/measurements", measurements)
api.add_router("/templates", templates)
api.add_router("/flavours", flavours)
api.add_router("/storage", storage)
api.add_router("/registries", registries)
api.add_router("/consoles", consoles)
api.add_router("/schedules", schedules)
api.add_router("/sites", sites)
api.add_router("/wakes", wakes)
api.add_router("/savings", savings)
api.add_router("/plans", plans)
api.add_router("/maintenance", maintenance)
api.add_router("/autopilot", autopilot)
api.add_router("/history", histories)
api.add_router("/questions", questions)
api.add_router("/losses", losses)
api.add_router("/recoveries", recoveries)
api.add_router("/alerts", alerts)
api.add_router("/alert-rules", alert_rules)
api.add_router("/silences", silences)
api.add_router("/channels", notice_channels)


@api.get("/openapi.json", auth=VIEW, include_in_schema=False)
def openapi(request: HttpRequest) -> dict[str, Any]:
    """The API's description by OpenAPI 3.1, for whoever is logged in."""
    return api.get_openapi_schema(path_prefix="/api/")


def _said(request: HttpRequest, status: int, kind: str, message: str) -> HttpResponse:
    return api.create_response(request, {"error": kind, "message": message}, status=status)


@api.exception_handler(StowageError)
def refused(request: HttpRequest, error: StowageError) -> HttpResponse:
    return _said(request, status_of(error), type(error).__name__, error.message)


@api.exception_handler(AuthenticationError)
def not_logged_in(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return _said(request, 401, "Unauthorised", "Log in first.")


@api.exception_handler(RequestDataTooBig)
def too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return _said(request, 413, "Invalid", "The request is too large.")


@api.exception_handler(ValidationError)
def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """The first thing that is wrong, named by its place."""
    first = error.errors[0] if error.errors else {}
    place = ".".join(str(part) for part in first.get("loc", ())[1:] if part != "payload")
    return _said(request, 422, "Invalid", f"{place or 'The request'}: {first.get('msg', 'is not valid')}.")


def api_urls() -> Any:
    """Addresses of the API; who may call what is each route's `auth`, so the login redirect keeps out."""
    patterns, app_name, namespace = api.urls
    for pattern in patterns:
        pattern.callback = login_not_required(pattern.callback)
    return patterns, app_name, namespace
