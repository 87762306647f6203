"""Pages of hosts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from hosts import queries, services
from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button, Link
from hosts.doors import action, done_or_said, form_page, must_have_typed, page
from hosts.errors import StowageError
from hosts.forms import BmcForm, CorrectionForm, EnrolForm, JobForm, PowerModelForm, RackForm, add_error
from hosts.models import Host, Plane, Rack
from hosts.once import key_of
from hosts.regions import render_page, text_asked
from hosts.services.doors import busy_with
from hosts.services.wakes import has_woken_since
from hosts.states import why_no_fencing, why_not

NOT_AN_ADMINISTRATOR = "Only administrators may do this."
# verb of the button -> (label, style, icon, the question it asks, whether the name must be typed)
BUTTONS = {
    "power_on": ("Wake", "btn-primary", "power", "", False),
    "power_off": (
        "Switch off",
        "btn-outline-danger",
        "power",
        "The host is switched off through its BMC, once its host plane has confirmed that nothing runs on it.",
        True,
    ),
    "wake_drill": (
        "Wake drill",
        "",
        "power",
        "The host is switched off, if nothing runs on it, and woken again; the time is taken. Should it not wake,"
        " it is put into quarantine.",
        False,
    ),
    "maintenance_on": ("Begin maintenance", "", "wrench", "", False),
    "maintenance_off": ("End maintenance", "btn-primary", "wrench", "", False),
}


@page("view")
def host_list(request: HttpRequest) -> HttpResponse:
    rows = queries.host_rows(text_asked(request, "q"))
    context = {
        "rows": rows,
        "sources": [row.source for row in rows],
        "may_administer": may(request.user, "administer"),
        "has_any": bool(rows) or Host.objects.exists(),
    }
    return render_page(request, "hosts/list.html", "hosts/_list.html", context)


@page("view")
def host_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(queries.hosts_all(), pk=uuid)
    return render_page(request, "hosts/page.html", "hosts/_page.html", host_context(request, host))


def host_context(request: HttpRequest, host: Host) -> dict[str, Any]:
    workloads = list(host.workloads.exclude(state="gone").order_by("name"))
    return {
        "host": host,
        "status": queries.host_status(host),
        "power_differs": "" if busy_with("host", host.pk) else queries.power_differs(host),
        "workloads": workloads,
        "promised": {
            "cpu_cores": sum(row.cpu_cores for row in workloads),
            "memory_mib": sum(row.memory_mib for row in workloads),
        },
        "mounts": list(host.pool_mounts.select_related("pool")),
        "operations": queries.operations_of_host(host),
        "buttons": host_buttons(request, host),
        "shell": shell_link(request, host),
        "retry": retry_button(request, host),
        "remove": remove_button(request, host),
        "power_form": PowerModelForm.of(host),
        "bmc": getattr(host, "bmc", None),
        "no_fencing": why_no_fencing(host),
        "job": getattr(host, "job", None),
        "job_form": JobForm(),
        "job_refused": why_not(host, "give_job", busy=busy_with("host", host.pk)),
        "decommission_refused": why_not(host, "decommission", busy=busy_with("host", host.pk)),
        "today": timezone.localdate(),
        "may_operate": may(request.user, "operate", host),
        "may_administer": may(request.user, "administer", host),
        "has_woken_since": host.quarantined_at is not None and has_woken_since(host),
        "last_wake": host.wakes.first(),
        "source": f"host:{host.pk}",
        "sources": [f"host:{host.pk}", *(f"workload:{row.pk}" for row in workloads)],
    }


def host_buttons(request: HttpRequest, host: Host) -> list[Button]:
    """The verbs that fit the host's state; one that is refused says why."""
    busy = busy_with("host", host.pk)
    is_operator = may(request.user, "operate", host)
    drawn = []
    for verb in queries.verbs_shown(host):
        label, style, icon_name, ask, is_typed = BUTTONS[verb]
        reason = why_not(host, verb, busy=busy) if is_operator else NOT_AN_OPERATOR
        url = reverse("host-verb", args=[host.pk, verb])
        drawn.append(Button(verb, label, url, reason, style, icon_name, ask, host.name if is_typed else ""))
    if host.lifecycle == Host.Lifecycle.ENROLLED and host.power != Host.Power.OFF:
        drain = Button(
            "drain",
            "Empty it",
            reverse("host-drain", args=[host.pk]),
            why_not(host, "drain", busy=busy) if is_operator else NOT_AN_OPERATOR,
            "",
            "drain",
            "A plan is made that moves everything off this host. Nothing moves before you approve it.",
        )
        drawn.append(drain)
        if not host.is_in_maintenance:
            url = reverse("host-maintenance", args=[host.pk])
            refused = why_not(host, "drain", busy=busy) if is_operator else NOT_AN_OPERATOR
            ask = "The planner says for each workload where it would go. Nothing moves before you approve it."
            drawn.append(Button("drain-maintain", "Empty it for maintenance", url, refused, "", "wrench", ask))
    return drawn


def shell_link(request: HttpRequest, host: Host) -> Link | None:
    """None for whom it is never for."""
    if host.lifecycle != Host.Lifecycle.ENROLLED or not may(request.user, "administer", host):
        return None
    return Link("shell", "Shell", reverse("host-shell", args=[host.pk]), why_not(host, "shell"), "terminal")


def retry_button(request: HttpRequest, host: Host) -> Button | None:
    """None unless the enrolment has failed."""
    if host.lifecycle != Host.Lifecycle.FAILED:
        return None
    reason = why_not(host, "retry_enrolment") if may(request.user, "administer", host) else NOT_AN_ADMINISTRATOR
    url = reverse("host-retry", args=[host.pk])
    return Button("retry", "Correct it and try again", url, reason, "btn-primary", "operation")


def remove_button(request: HttpRequest, host: Host) -> Button:
    reason = why_not(host, "remove") if may(request.user, "administer", host) else NOT_AN_ADMINISTRATOR
    ask = "The host leaves the inventory with its history. What runs on it is not touched."
    url = reverse("host-remove", args=[host.pk])
    return Button("remove", "Remove from the inventory", url, reason, "btn-outline-danger", "trash", ask, host.name)


@form_page("administer")
def host_enrol(request: HttpRequest) -> HttpResponse:
    """The form; after success a page with the command to start and its one-time token."""
    form = EnrolForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            enrolment = services.host_enrol(request.user, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
        else:
            return _token_shown(request, enrolment)
    status = 422 if form.errors else 200
    return render(request, "hosts/enrol.html", {"form": form, "racks": Rack.objects.exists()}, status=status)


def _token_shown(request: HttpRequest, enrolment: services.Enrolment) -> HttpResponse:
    """The one answer that has the token in it; it is kept nowhere."""
    context = {
        "host": enrolment.host,
        "token": enrolment.token,
        "operation": enrolment.operation,
        "control_url": settings.PLANE_URL,
    }
    response = render(request, "hosts/enrolled.html", context)
    response["Cache-Control"] = "no-store"
    return response


@form_page("administer")
def rack_new(request: HttpRequest) -> HttpResponse:
    form = RackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.rack_create(request.user, site=form.cleaned_data["site"], name=form.cleaned_data["rack"])
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("host-enrol")
    return render(request, "hosts/rack.html", {"form": form}, status=422 if form.errors else 200)


@action("operate")
def host_verb(request: HttpRequest, uuid: UUID, verb: str) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)

    def act() -> Any:
        if BUTTONS[verb][4]:
            must_have_typed(request, host.name)
        return _VERBS[verb](request.user, host, key_of(request))

    operation = done_or_said(request, act)
    if operation is not None:
        messages.success(request, f"Begun: {BUTTONS[verb][0].lower()}, {host.name}.")
    return redirect("host", uuid=host.pk)


_VERBS = {
    "power_on": lambda user, host, key: services.host_power_on(user, host, idempotency_key=key),
    "power_off": lambda user, host, key: services.host_power_off(user, host, idempotency_key=key),
    "wake_drill": lambda user, host, key: services.host_wake_drill(user, host, idempotency_key=key),
    "maintenance_on": lambda user, host, key: services.host_maintain(user, host, on=True, idempotency_key=key),
    "maintenance_off": lambda user, host, key: services.host_maintain(user, host, on=False, idempotency_key=key),
}


@action("operate")
def host_quarantine_lift(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    reason = request.POST.get("reason", "")
    done_or_said(
        request,
        lambda: services.host_quarantine_lift(request.user, host, reason=reason, idempotency_key=key_of(request)),
        f"{host.name} is counted on again.",
    )
    return redirect("host", uuid=host.pk)


@form_page("administer")
def host_retry(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What may have been wrong with a failed enrolment, to be corrected; then it begins again."""
    host = get_object_or_404(Host.objects.select_related("bmc", "rack__site"), pk=uuid)
    values = {"management_address": host.management_address, "bridge": host.bridge, **BmcForm.values_of(host)}
    was_let_in = Plane.objects.filter(kind="host", name=host.name).exclude(last_used_at=None).exists()
    form = CorrectionForm(request.POST or None, initial=values | {"new_token": not was_let_in})
    if request.method == "POST" and form.is_valid():
        try:
            enrolment = services.host_retry_enrolment(request.user, host, **form.cleaned_data)
        except StowageError as error:
            add_error(form, error)
            host.refresh_from_db()
        else:
            return (
                _token_shown(request, enrolment) if enrolment.token else redirect("operation", enrolment.operation.pk)
            )
    context = {"form": form, "host": host, "refused": why_not(host, "retry_enrolment")}
    return render(request, "hosts/retry.html", context, status=422 if form.errors else 200)


@form_page("administer")
def host_bmc(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The host's BMC, to be changed; what is entered is tried before it is kept."""
    host = get_object_or_404(Host.objects.select_related("bmc", "rack__site"), pk=uuid)
    form = BmcForm(request.POST or None, initial=BmcForm.values_of(host))
    if request.method == "POST" and form.is_valid():
        values = {name.removeprefix("bmc_"): value for name, value in form.cleaned_data.items()}
        try:
            operation = services.host_bmc_edit(request.user, host, **values)
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {"form": form, "host": host, "refused": why_not(host, "edit_bmc", busy=busy_with("host", host.pk))}
    return render(request, "hosts/bmc.html", context, status=422 if form.errors else 200)


@action("administer")
def host_power_model(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    form = PowerModelForm(request.POST)
    if form.is_valid():
        done_or_said(
            request, lambda: services.host_edit(request.user, host, **form.cleaned_data), "The watts are saved."
        )
    else:
        messages.error(request, "Watts are numbers from 0 to 20,000, rack units from 1 to 60. Nothing was changed.")
    return redirect("host", uuid=host.pk)


@action("administer")
def host_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    try:
        must_have_typed(request, host.name)
        services.host_remove(request.user, host)
    except StowageError as error:
        messages.error(request, error.message)
        return redirect("host", uuid=host.pk)
    messages.success(request, f"{host.name} is no longer in the inventory.")
    return redirect("hosts")
