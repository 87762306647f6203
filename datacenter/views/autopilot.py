"""The autopilot's page: what it may do at each site, what it did and why, and the switch that stops it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from datacenter.forms import AutopilotForm
from datacenter.hours import next_opening, windows_read
from datacenter.models import Autopilot, AutopilotDecision
from datacenter.services.autopilot import autopilot_edit, autopilot_of, autopilot_stop
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.models import Site
from hosts.regions import render_page

DECISIONS_SHOWN = 15


@page("view")
def autopilot(request: HttpRequest) -> HttpResponse:
    rows = [_row(autopilot_of(site)) for site in Site.objects.order_by("name")]
    is_on = any(row.is_on for row, *_ in rows)
    refused = None if is_on else "It is off at every site."
    if not may(request.user, "operate"):
        refused = NOT_AN_OPERATOR
    ask = "It is switched off at every site, and its running plans stop after the moves under way."
    stop = Button("stop", "Stop it everywhere", reverse("autopilot-stop"), refused, "btn-danger", "stop", ask)
    return render_page(
        request, "datacenter/autopilot.html", "datacenter/_autopilot.html", {"rows": rows, "buttons": [stop]}
    )


def _row(row: Autopilot) -> tuple[Autopilot, QuerySet[AutopilotDecision], str]:
    """The site's autopilot, its newest decisions, and the hours that come next."""
    decisions = AutopilotDecision.objects.filter(site=row.site).select_related("plan")[:DECISIONS_SHOWN]
    coming = next_opening(windows_read(row.windows), timezone.now().astimezone(ZoneInfo(row.time_zone)))
    return row, decisions, f"{coming[0]} from {coming[1]:%a %H:%M}" if coming else ""


@action("operate")
def autopilot_stop_all(request: HttpRequest) -> HttpResponse:
    done_or_said(request, lambda: autopilot_stop(request.user), "The autopilot is off everywhere.")
    return redirect("autopilot")


@form_page("administer")
def autopilot_settings(request: HttpRequest, site_id: int) -> HttpResponse:
    site = get_object_or_404(Site, pk=site_id)
    row: Autopilot = autopilot_of(site)
    form = AutopilotForm(request.POST or None, instance=row)
    if request.method == "POST" and form.is_valid():
        try:
            autopilot_edit(request.user, site, form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("autopilot")
    context = {"form": form, "site": site, "groups": form.groups()}
    return render(request, "datacenter/autopilot_settings.html", context, status=422 if form.errors else 200)
