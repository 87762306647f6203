"""Pages of schedules."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, must_have_typed, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.regions import render_page
from workloads import services
from workloads.forms import ScheduleForm
from workloads.models import Schedule

RUNS_SHOWN = 50


@page("view")
def schedule_list(request: HttpRequest) -> HttpResponse:
    rows = Schedule.objects.select_related("workload", "owner").prefetch_related("runs__operation")
    context = {"schedules": rows, "may_operate": may(request.user, "operate")}
    return render_page(request, "workloads/schedules.html", "workloads/_schedules.html", context)


@page("view")
def schedule_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    schedule = get_object_or_404(Schedule.objects.select_related("workload__host", "owner"), pk=uuid)
    context = {
        "schedule": schedule,
        "runs": schedule.runs.select_related("operation")[:RUNS_SHOWN],
        "buttons": _buttons(schedule) if may(request.user, "operate") else [],
    }
    return render_page(request, "workloads/schedule.html", "workloads/_schedule.html", context)


def _buttons(schedule: Schedule) -> list[Button]:
    switch = Button(
        "enable",
        "Switch off" if schedule.is_enabled else "Switch on",
        reverse("schedule-enable", args=[schedule.pk]),
        None if schedule.is_enabled or schedule.cron else f"The time of {schedule.name} has passed.",
        "",
        "stop" if schedule.is_enabled else "play",
        hidden=(("on", "0" if schedule.is_enabled else "1"),),
    )
    ask = "The schedule goes with the record of its runs. What it has begun goes on."
    url = reverse("schedule-delete", args=[schedule.pk])
    return [switch, Button("delete", "Delete", url, None, "btn-outline-danger", "trash", ask, schedule.name)]


@form_page("operate")
def schedule_new(request: HttpRequest) -> HttpResponse:
    """A verb on a workload that is there; making a new one later is a part of the form that makes it."""
    form = ScheduleForm(request.POST or None, initial={"workload": request.GET.get("workload", "")[:36]})
    if request.method == "POST" and form.is_valid():
        try:
            schedule = services.schedule_create(request.user, **form.values())
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("schedule", uuid=schedule.pk)
    return render(request, "workloads/new_schedule.html", {"form": form}, status=422 if form.errors else 200)


@action("operate")
def schedule_enable(request: HttpRequest, uuid: UUID) -> HttpResponse:
    schedule = get_object_or_404(Schedule, pk=uuid)
    is_on = request.POST.get("on") == "1"
    success = f"{schedule.name} is switched {'on' if is_on else 'off'}."
    done_or_said(request, lambda: services.schedule_enable(request.user, schedule, on=is_on), success)
    return redirect("schedule", uuid=schedule.pk)


@action("operate")
def schedule_delete(request: HttpRequest, uuid: UUID) -> HttpResponse:
    schedule = get_object_or_404(Schedule, pk=uuid)

    def act() -> Any:
        must_have_typed(request, schedule.name)
        services.schedule_delete(request.user, schedule)
        return True

    if done_or_said(request, act, f"{schedule.name} was removed."):
        return redirect("schedules")
    return redirect("schedule", uuid=schedule.pk)
