"""Pages of maintenance: where a host's workloads would go, and how far a run has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from datacenter.models import MaintenanceMember, MaintenanceRun, Plan
from datacenter.services import maintaining as services
from datacenter.services.draining import drain_lines
from datacenter.services.maintenance_steps import OVER
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, page
from hosts.errors import Invalid, NotFound
from hosts.models import Host, Rack, Site
from hosts.regions import render_page

LISTED_MOST = 50
State = MaintenanceRun.State


@page("view")
def maintenance_list(request: HttpRequest) -> HttpResponse:
    refused = None if may(request.user, "operate") else NOT_AN_OPERATOR
    url = reverse("maintenance-roll")
    ask = "Host after host is emptied, waits in maintenance for your word, and is handed back. It begins at once."
    option = "Don't wait for my word: switch each host off and wake it"
    asks = []
    for site in Site.objects.prefetch_related("racks"):
        places = [(f"site-{site.pk}", f"The whole of {site.name}", ("site", str(site.pk)))]
        places += [(f"rack-{rack.pk}", f"Rack {rack.name}", ("rack", str(rack.pk))) for rack in site.racks.all()]
        buttons = [
            Button(key, label, url, refused, "btn-primary", "wrench", ask, hidden=(hidden,), option=option)
            for key, label, hidden in places
        ]
        asks.append((site, buttons))
    runs = MaintenanceRun.objects.prefetch_related("members")[:LISTED_MOST]
    context = {"runs": runs, "asks": asks}
    return render_page(request, "datacenter/maintenance.html", "datacenter/_maintenance.html", context)


@page("view")
def maintenance_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    run = get_object_or_404(MaintenanceRun.objects.select_related("site"), pk=uuid)
    members = list(run.members.select_related("host", "plan"))
    now = next((row for row in members if row.state not in (*OVER, MaintenanceMember.State.WAITING)), None)
    context = {
        "run": run,
        "members": members,
        "now": now,
        "lines": drain_lines(now) if now and now.state == MaintenanceMember.State.PLANNING else None,
        "is_planning": bool(now and now.plan and now.plan.state == Plan.State.PLANNING),
        "plan_failed": now.plan.reason if now and now.plan and now.plan.state == Plan.State.FAILED else "",
        "buttons": run_buttons(request, run),
        "may_operate": may(request.user, "operate", run),
        "waits_for_word": now if now and now.state == MaintenanceMember.State.WORK else None,
    }
    return render_page(request, "datacenter/maintenance_run.html", "datacenter/_maintenance_run.html", context)


def run_buttons(request: HttpRequest, run: MaintenanceRun) -> list[Button]:
    refused = None if may(request.user, "operate", run) else NOT_AN_OPERATOR
    ask = "Moves under way go on to their end. A host that is not yet in maintenance is opened again."
    stop = ("stop", "Stop the maintenance", "btn-outline-danger", "stop", ask)
    drawn = {
        State.PROPOSED: [("stop", "Put it aside", "", "close", "")],
        State.RUNNING: [("pause", "Pause", "", "pause", ""), stop],
        State.PAUSED: [("resume", "Go on", "btn-primary", "play", ""), stop],
    }
    return [
        Button(verb, label, reverse(f"maintenance-{verb}", args=[run.pk]), refused, style, icon_name, asked)
        for verb, label, style, icon_name, asked in drawn.get(State(run.state), [])
    ]


@action("operate")
def host_maintenance(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host.objects.select_related("rack__site"), pk=uuid)
    run = done_or_said(request, lambda: services.maintenance_drain(request.user, host))
    return redirect("maintenance-run", uuid=run.pk) if run else redirect("host", uuid=host.pk)


@action("operate")
def maintenance_roll(request: HttpRequest) -> HttpResponse:
    rack = Rack.objects.select_related("site").filter(pk=_number(request, "rack")).first()
    site = rack.site if rack else Site.objects.filter(pk=_number(request, "site")).first()
    if site is None:
        raise NotFound("There is no such site or rack. Choose one on the page of maintenance.")
    is_cycled = bool(request.POST.get("option"))
    run = done_or_said(request, lambda: services.maintenance_roll(request.user, site, rack=rack, is_cycled=is_cycled))
    return redirect("maintenance-run", uuid=run.pk) if run else redirect("maintenance")


@action("operate")
def maintenance_begin(request: HttpRequest, uuid: UUID) -> HttpResponse:
    run = get_object_or_404(MaintenanceRun, pk=uuid)

    def begin() -> MaintenanceRun:
        try:
            chosen = [UUID(text) for text in request.POST.getlist("shut_down")]
        except ValueError as error:
            raise Invalid("Choose workloads of the list.", field="shut_down") from error
        return services.maintenance_begin(request.user, run, shut_down=chosen)

    done_or_said(request, begin, "The host is closed and being emptied.")
    return redirect("maintenance-run", uuid=run.pk)


@action("operate")
def maintenance_work_done(request: HttpRequest, uuid: UUID) -> HttpResponse:
    run = get_object_or_404(MaintenanceRun, pk=uuid)
    number = _number(request, "number")
    done_or_said(request, lambda: services.maintenance_work_done(request.user, run, number), "The host is handed back.")
    return redirect("maintenance-run", uuid=run.pk)


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else 0


def _decide(verb: Callable[[Any, MaintenanceRun], object], success: str) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, uuid: UUID) -> HttpResponse:
        run = get_object_or_404(MaintenanceRun, pk=uuid)
        done_or_said(request, lambda: verb(request.user, run), success)
        return redirect("maintenance-run", uuid=run.pk)

    return action("operate")(view)


maintenance_pause = _decide(services.maintenance_pause, "It is paused. Moves under way go on to their end.")
maintenance_resume = _decide(services.maintenance_resume, "The maintenance goes on.")
maintenance_stop = _decide(services.maintenance_stop, "It is stopped.")
