"""Pages of workloads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, page
from hosts.errors import Invalid
from hosts.models import Host, PoolMount
from hosts.once import key_of
from hosts.queries import operations_of
from hosts.regions import render_page, text_asked
from hosts.services.doors import busy_with
from workloads import queries, services
from workloads.guests import guest_of
from workloads.models import VirtualMachine, Workload
from workloads.services.devices import bridges_of
from workloads.states import why_not
from workloads.views.backups import backups_of
from workloads.views.bulk import LABELS
from workloads.views.cdroms import cdrom_shown
from workloads.views.consoles import console_links, look_links
from workloads.views.snapshots import snapshots_shown, why_not_taken
from workloads.views.targets import move_targets
from workloads.views.verbs import more_buttons, verb_buttons

PAGE_ROWS = 50
LOGS_SHOWN = OPEN_SHOWN = SCHEDULES_SHOWN = 20


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
        "bulk_verbs": LABELS.items(),
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

    own = queries.workload_own(workload)
    consoles, looks = look_links(console_links(request, workload))
    sightings = list(workload.sightings.select_related("host"))
    pin_verb = "unpin" if workload.is_pinned else "pin"
    return {
        "workload": workload,
        "own": own,
        "guest": guest_of(own) if isinstance(own, VirtualMachine) else None,
        "differs": "" if busy else queries.differs(workload),
        "sightings": sightings,
        "running_twice": queries.running_twice(workload, sightings),
        "operations": operations_of(workload.pk),
        "buttons": verb_buttons(workload, reason),
        "more_buttons": more_buttons(workload, own, reason),
        "may_operate": is_operator,
        "schedules": list(workload.schedules.all()[:SCHEDULES_SHOWN]),
        "consoles": consoles,
        "looks": looks,
        "consoles_open": list(queries.consoles_open(workload.pk)[:OPEN_SHOWN]) if is_operator else [],
        "may_administer": may(request.user, "administer", workload),
        "console_logs": list(queries.console_logs(workload.pk)[:LOGS_SHOWN]) if is_operator else [],
        "move_why_not": reason("move"),
        "resize_why_not": reason("resize"),
        "rename_why_not": reason("rename"),
        "recreate_why_not": reason("recreate"),
        **_devices(own, reason("devices")),
        "clone_why_not": reason("clone"),
        "image_why_not": reason("save_image"),
        "cdrom_why_not": reason("cdrom"),
        **cdrom_shown(own),
        "backup_why_not": reason("back_up"),
        "backups": backups_of(request, workload),
        "snapshot_why_not": why_not_taken(own, reason("snapshot")),
        "snapshots": snapshots_shown(workload, own, reason("snapshot")),
        "next_size": queries.next_size(own),
        "targets": move_targets(workload),
        "pin_why_not": reason(pin_verb),
        "pin_buttons": [_pin_button(workload, reason(pin_verb))],
        "apart_why_not": reason("keep_apart"),
        "groups": queries.groups_known(),
        "expiries": Workload.Expiry.choices,
        "sources": [f"workload:{workload.pk}"],
    }


def _devices(own: Any, refused: str | None) -> dict[str, Any]:
    """Where disks and network cards of a VM could come from; nothing for a container."""
    if not isinstance(own, VirtualMachine):
        return {}
    mounts = PoolMount.objects.filter(host=own.host).select_related("pool")
    return {"devices_why_not": refused, "pools": [mount.pool.name for mount in mounts], "host_bridges": bridges_of(own)}


def _pin_button(workload: Workload, refused: str | None) -> Button:
    """Frees a pinned workload; for one that is free only the refusal is drawn so, for pinning asks for a reason."""
    label = "Let it move again" if workload.is_pinned else "Pin to its host"
    url = reverse("workload-pin", args=[workload.pk])
    return Button("pin", label, url, refused, "btn-sm", "pin", hidden=(("on", "0"),))


@action("operate")
def workload_move(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)

    def act() -> Any:
        target = _target(request.POST.get("target", ""))
        limit = _bandwidth(request.POST.get("bandwidth_mib_s", ""))
        # A browser sends nothing for a box that is not ticked; the hidden field tells that it was there.
        slowed = "auto_converge" in request.POST if "auto_converge_asked" in request.POST else None
        return services.workload_move(
            request.user,
            workload,
            target=target,
            bandwidth_mib_s=limit,
            auto_converge=slowed,
            idempotency_key=key_of(request),
        )

    operation = done_or_said(request, act)
    return redirect("workload", uuid=workload.pk) if operation is None else redirect("operation", uuid=operation.pk)


@action("operate")
def workload_resize(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload.objects.select_related("host"), pk=uuid)

    def act() -> Any:
        try:
            size = {"cpu_cores": float(request.POST["cpu_cores"]), "memory_mib": int(request.POST["memory_mib"])}
        except (KeyError, ValueError, OverflowError) as error:
            raise Invalid("Write the cores and the MiB of memory as numbers.", field="memory_mib") from error
        if not (size["cpu_cores"] < 1e6 and size["memory_mib"] < 2**31):  # NaN is not below anything
            raise Invalid("No host is as large as that.", field="memory_mib")
        return services.workload_resize(request.user, workload, **size, idempotency_key=key_of(request))

    if (operation := done_or_said(request, act)) is not None:
        return redirect("operation", uuid=operation.pk)
    return redirect("workload", uuid=workload.pk)


@action("operate")
def disk_grow(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)

    def act() -> Any:
        try:
            size_gib = float(request.POST.get("size_gib", ""))
        except ValueError as error:
            raise Invalid("Write the disk's size in GiB as a number.", field="size_gib") from error
        target = request.POST.get("target", "")[:20]
        return services.disk_grow(request.user, vm, target=target, size_gib=size_gib, idempotency_key=key_of(request))

    if (operation := done_or_said(request, act)) is not None:
        return redirect("operation", uuid=operation.pk)
    return redirect("workload", uuid=vm.pk)


def _target(text: str) -> Host:
    try:
        return Host.objects.get(pk=UUID(text))
    except (ValueError, Host.DoesNotExist) as error:
        raise Invalid("Choose the host that it shall move to.", field="target") from error


def _bandwidth(text: str) -> int | None:
    """MiB/s; None for an empty field."""
    if not text.strip():
        return None
    if not text.strip().isdecimal() or not 1 <= int(text.strip()[:12]) <= 100_000:
        sentence = "Write the limit as a number of MiB/s from 1 to 100,000, or leave it empty."
        raise Invalid(sentence, field="bandwidth_mib_s")
    return int(text.strip()[:12])


@action("operate")
def workload_pin(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)
    is_on = request.POST.get("on") == "1"
    reason = request.POST.get("reason", "")[:200]
    success = f"{workload.name} stays on its host." if is_on else f"{workload.name} may be moved again."
    done_or_said(request, lambda: services.workload_pin(request.user, workload, on=is_on, reason=reason), success)
    return redirect("workload", uuid=workload.pk)


@action("operate")
def workload_expire(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)
    text, then = request.POST.get("at", "").strip()[:30], request.POST.get("then", "")[:10]

    def act() -> Workload:
        try:
            at = datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
        except ValueError as error:
            raise Invalid("Write the day and time as 2026-12-31T18:00, or nothing for no end.", field="at") from error
        return services.workload_expire(request.user, workload, at=at, then=then)

    done_or_said(request, act, f"{workload.name} has an end." if text else f"{workload.name} has no end.")
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
