"""Another job for a freed host, its end, and the records of hosts that were taken out of service."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from hosts import services
from hosts.doors import action, done_or_said, page
from hosts.forms import JobForm
from hosts.models import Decommission, Host


@action("operate")
def host_job_give(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    form = JobForm(request.POST)
    if form.is_valid():
        said = f"{host.name} has another job now. The planner leaves it alone."
        done_or_said(request, lambda: services.host_job_give(request.user, host, **form.cleaned_data), said)
    else:
        messages.error(request, "Choose a job, and a day as 2026-12-24 or none. Nothing was changed.")
    return redirect("host", uuid=host.pk)


@action("operate")
def host_job_end(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    said = f"{host.name} is back. The planner may use it again."
    done_or_said(request, lambda: services.host_job_end(request.user, host), said)
    return redirect("host", uuid=host.pk)


@action("administer")
def host_decommission(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    record = done_or_said(
        request,
        lambda: services.host_decommission(
            request.user,
            host,
            typed=request.POST.get("typed", ""),
            is_wiped=request.POST.get("is_wiped") == "on",
            note=request.POST.get("note", ""),
        ),
        f"{host.name} is out of service. Its record is kept.",
    )
    return redirect("host", uuid=host.pk) if record is None else redirect("decommissioned")


@page("view")
def decommissioned(request: HttpRequest) -> HttpResponse:
    rows = [(record, services.is_genuine(record)) for record in Decommission.objects.all()[:200]]
    return render(request, "hosts/decommissioned.html", {"rows": rows})
