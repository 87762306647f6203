"""The page of recoveries: what was lost, how it was fenced, and what became of the workloads."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from datacenter.models import Recovery
from datacenter.services import recovering as services
from hosts.access import may
from hosts.doors import action, done_or_said, page

LISTED_MOST = 50


@page("view")
def recovery_list(request: HttpRequest) -> HttpResponse:
    rows = Recovery.objects.select_related("host").prefetch_related("workloads__target")[:LISTED_MOST]
    context = {
        "recoveries": rows,
        "may_operate": may(request.user, "operate"),
        "may_administer": may(request.user, "administer"),
    }
    return render(request, "datacenter/recoveries.html", context)


@action("operate")
def recovery_begin(request: HttpRequest, uuid: UUID) -> HttpResponse:
    recovery = get_object_or_404(Recovery.objects.select_related("host"), pk=uuid)
    said = f"{recovery.host.name} is being fenced."
    done_or_said(request, lambda: services.recovery_begin(request.user, recovery), said)
    return redirect("recoveries")


@action("administer")
def recovery_declare_dead(request: HttpRequest, uuid: UUID) -> HttpResponse:
    recovery = get_object_or_404(Recovery.objects.select_related("host"), pk=uuid)
    typed = request.POST.get("typed", "")
    done_or_said(
        request,
        lambda: services.recovery_declare_dead(request.user, recovery, typed=typed),
        f"Your word counts: what can be started elsewhere of {recovery.host.name} is being started.",
    )
    return redirect("recoveries")
