"""Pages of workloads."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from hosts.access import may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, must_have_typed, page
from hosts.errors import Invalid
from hosts.models import Host
from hosts.once import key_of
from hosts.queries import operations_of
from hosts.regions import render_page, text_asked
from hosts.services.doors import busy_with
from workloads import queries, services
from workloads.models import Workload
from workloads.states import why_not
from workloads.views.consoles import console_links
from workloads.views.targets import move_targets

PAGE_ROWS = 50
LOGS_SHOWN = OPEN_SHOWN = 20
NOT_AN_OPERATOR = "Your role only allows looking. Ask an administrator for the role of operator."
BUTTONS = ("start", "stop", "force_stop", "delete")


@page("view")
def workload_list(request: HttpRequest) -> HttpResponse:
    wanted = queries.WorkloadFilter(
        text=text_asked(request, "q"),
        kind=text_asked(request, "kind"),
        state=text_asked(request, "state"),
        host=text_asked(request, "host"),
        sort=request.GET.get("sort", "name"),
    )
    rows = Paginator(queries.workloads_listed(wanted), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "page": rows,
        "wanted": wanted,
        "kinds": Workload.Kind.choices,
        "states": Workload.State.choices,
        "hosts": Host.objects.values_list("name", flat=True).order_by("name"),
        "columns": queries.COLUMNS,
        "sources": [f"workload:{row.pk}" for row in rows],
        "may_operate": may(request.user, "operate"),
    }
    return render_page(request, "workloads/list.html", "workloads/_list.html", context)


@page("view")
def workload_page(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload.objects.select_related("host__rack__site", "owner"), pk=uuid)
    return render_page(request, "workloads/page.html", "workloads/_page.html", workload_context(request, workload))


def workload_context(request: HttpRequest, workload: Workload) -> dict[str, Any]:
    busy = busy_with(workload.kind, workload.pk)
    is_operator = may(request.user, "operate", workload)

    def reason(verb: str) -> str | None:
        return why_not(workload, verb, busy=busy) if is_operator else NOT_AN_OPERATOR

    sightings = list(workload.sightings.select_related("host"))
    pin_verb = "unpin" if workload.is_pinned else "pin"
    return {
        "workload": workload,
        "own": queries.workload_own(workload),
        "differs": "" if busy else queries.differs(workload),
        "sightings": sightings,
        "running_twice": queries.running_twice(workload, sightings),
        "operations": operations_of(workload.pk),
        "buttons": _buttons(workload, reason),
        "consoles": console_links(request, workload),
        "consoles_open": list(queries.consoles_open(workload.pk)[:OPEN_SHOWN]) if is_operator else [],
        "may_administer": may(request.user, "administer", workload),
        "console_logs": list(queries.console_logs(workload.pk)[:LOGS_SHOWN]) if is_operator else [],
        "move_why_not": reason("move"),
        "targets": move_targets(workload),
        "pin_why_not": reason(pin_verb),
        "pin_buttons": [_pin_button(workload, reason(pin_verb))],
        "apart_why_not": reason("keep_apart"),
        "groups": queries.groups_known(),
        "sources": [f"workload:{workload.pk}"],
    }


def _pin_button(workload: Workload, refused: str | None) -> Button:
    """Frees a pinned workload; for one that is free only the refusal is drawn so, for pinning asks for a reason."""
    label = "Let it move again" if workload.is_pinned else "Pin to its host"
    url = reverse("workload-pin", args=[workload.pk])
    return Button("pin", label, url, refused, "btn-sm", "pin", hidden=(("on", "0"),))


def _buttons(workload: Workload, reason: Any) -> list[Button]:
    def url(verb: str) -> str:
        return reverse("workload-verb", args=[workload.pk, verb])

    name = workload.name
    what = "its disks" if workload.kind == Workload.Kind.VM and not workload.is_adopted else "its definition"
    start = Button("start", "Start", url("start"), reason("start"), "btn-primary", "play")
    stop = Button("stop", "Stop", url("stop"), reason("stop"), "", "stop")
    delete_ask = f"{name} and {what} are removed from its host. There is no way back."
    delete = Button(
        "delete", "Delete", url("delete"), reason("delete"), "btn-outline-danger", "trash", delete_ask, name
    )
    force_ask = f"{name} is cut off at once, as if its power failed. Unsaved data in it is lost."
    force = Button(
        "force", "Force off", url("force_stop"), reason("stop"), "btn-outline-danger", "power", force_ask, name
    )
    return [stop, force, delete] if reason("start") and not reason("stop") else [start, stop, delete]


@action("operate")
def workload_verb(request: HttpRequest, uuid: UUID, verb: str) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)

    def act() -> Any:
        if verb in ("delete", "force_stop"):
            must_have_typed(request, workload.name)
        return _VERBS[verb](request.user, workload, key_of(request))

    operation = done_or_said(request, act)
    if operation is not None and verb == "delete":
        return redirect("operation", uuid=operation.pk)
    if operation is not None:
        messages.success(request, f"Begun: {verb.replace('_', ' ')}, {workload.name}.")
    return redirect("workload", uuid=workload.pk)


_VERBS = {
    "start": lambda user, workload, key: services.workload_start(user, workload, idempotency_key=key),
    "stop": lambda user, workload, key: services.workload_stop(user, workload, idempotency_key=key),
    "force_stop": lambda user, workload, key: services.workload_stop(user, workload, force=True, idempotency_key=key),
    "delete": lambda user, workload, key: services.workload_delete(user, workload, idempotency_key=key),
}


@action("operate")
def workload_move(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)

    def act() -> Any:
        target = _target(request.POST.get("target", ""))
        return services.workload_move(request.user, workload, target=target, idempotency_key=key_of(request))

    operation = done_or_said(request, act)
    return redirect("workload", uuid=workload.pk) if operation is None else redirect("operation", uuid=operation.pk)


def _target(text: str) -> Host:
    try:
        return Host.objects.get(pk=UUID(text))
    except (ValueError, Host.DoesNotExist) as error:
        raise Invalid("Choose the host that it shall move to.", field="target") from error


@action("operate")
def workload_pin(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)
    is_on = request.POST.get("on") == "1"
    reason = request.POST.get("reason", "")[:200]
    success = f"{workload.name} stays on its host." if is_on else f"{workload.name} may be moved again."
    done_or_said(request, lambda: services.workload_pin(request.user, workload, on=is_on, reason=reason), success)
    return redirect("workload", uuid=workload.pk)


@action("operate")
def workload_keep_apart(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)
    group = request.POST.get("group", "")[:64]
    success = (
        f"{workload.name} never shares a host with others of {group.strip()}."
        if group.strip()
        else (f"{workload.name} may share a host with any workload.")
    )
    done_or_said(request, lambda: services.workload_keep_apart(request.user, workload, group=group), success)
    return redirect("workload", uuid=workload.pk)
