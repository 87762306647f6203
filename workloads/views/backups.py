"""Backups: all of them, those of a VM on its page, and their verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, form_page, page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.models import Host, Lease
from hosts.once import FIELD, key_of, token_new
from hosts.operations.lease import busy_sentence
from hosts.regions import render_page, text_asked
from hosts.services.doors import busy_with
from workloads import services
from workloads.forms import RestoreForm
from workloads.models import Backup, BackupFolder, VirtualMachine, Workload
from workloads.states import why_no_backup_verb

PAGE_ROWS = 50
SHOWN_OF_VM = 10
DELETE_ASK = "The backup of {name} of {time} is deleted for good. What its VM is now stays as it is."


@dataclass(frozen=True)
class Shown:
    """A backup with what may be done to it, and its VM where that is still there."""

    backup: Backup
    vm: Workload | None
    restore_why_not: str | None
    buttons: tuple[Button, ...]


@page("view")
def backup_list(request: HttpRequest) -> HttpResponse:
    text = text_asked(request, "q")
    rows = Backup.objects.select_related("host", "parent")
    rows = rows.filter(vm_name__icontains=text) if text else rows
    listed = Paginator(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    folders = {folder.host_id: folder.path for folder in BackupFolder.objects.all()}
    hosts = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED).order_by("name")
    context = {
        "page": listed,
        "text": text,
        "shown": backups_shown(request, listed),
        "folders": [(host, folders.get(host.pk, "")) for host in hosts],
        "may_operate": may(request.user, "operate"),
        "may_administer": may(request.user, "administer"),
    }
    return render_page(request, "workloads/backups.html", "workloads/_backup_list.html", context)


def backups_shown(request: HttpRequest, rows: Iterable[Backup]) -> list[Shown]:
    """Three statements, however many there are."""
    listed, is_operator = list(rows), may(request.user, "operate")
    leases = Lease.objects.filter(thing_kind="backup", thing_id__in=[str(row.pk) for row in listed])
    busy = {
        lease.thing_id: busy_sentence(lease.operation)
        for lease in leases.filter(operation__isnull=False).select_related("operation")
        if lease.operation is not None
    }
    grounds = set(Backup.objects.filter(parent__in=listed).values_list("parent_id", flat=True))
    vms = Workload.objects.in_bulk({row.vm_uuid for row in listed})

    def why(row: Backup, verb: str) -> str | None:
        if not is_operator:
            return NOT_AN_OPERATOR
        if verb == "delete" and row.pk in grounds:
            return "A later backup rests on this one. Delete that first."
        return why_no_backup_verb(row, verb, busy=busy.get(str(row.pk)))

    def button(row: Backup, verb: str, label: str, style: str, ask: str = "") -> Button:
        url = reverse(f"backup-{verb}", args=[row.pk])
        return Button(f"{verb}-{row.pk}", label, url, why(row, verb), style, "", ask)

    def shown(row: Backup) -> Shown:
        ask = DELETE_ASK.format(name=row.vm_name, time=row.taken_at.strftime("%Y-%m-%d %H:%M"))
        verify = button(row, "verify", "Verify", "btn-sm")
        delete = button(row, "delete", "Delete", "btn-sm btn-outline-danger", ask)
        return Shown(row, vms.get(row.vm_uuid), why(row, "restore"), (verify, delete))

    return [shown(row) for row in listed]


def backups_of(request: HttpRequest, workload: Workload) -> list[Shown]:
    """The newest of a VM, for its page."""
    if workload.kind != Workload.Kind.VM:
        return []
    rows = Backup.objects.filter(vm_uuid=workload.pk).select_related("host", "parent")
    return backups_shown(request, rows[:SHOWN_OF_VM])


@action("operate")
def vm_back_up(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)
    kind = request.POST.get("kind", "")[:20]
    return _done(
        request,
        lambda: services.vm_back_up(request.user, vm, kind=kind, idempotency_key=key_of(request)),
        reverse("workload", args=[uuid]),
    )


@action("operate")
def backup_verify(request: HttpRequest, uuid: UUID) -> HttpResponse:
    backup = get_object_or_404(Backup, pk=uuid)
    return _done(request, lambda: services.backup_verify(request.user, backup, idempotency_key=key_of(request)))


@action("operate")
def backup_delete(request: HttpRequest, uuid: UUID) -> HttpResponse:
    backup = get_object_or_404(Backup, pk=uuid)
    return _done(request, lambda: services.backup_delete(request.user, backup, idempotency_key=key_of(request)))


@form_page("operate")
def backup_restore(request: HttpRequest, uuid: UUID) -> HttpResponse:
    backup = get_object_or_404(Backup.objects.select_related("host", "parent"), pk=uuid)
    form = RestoreForm(request.POST or None, initial={"name": f"{backup.vm_name}-back"[:63], "host": backup.host})
    if request.method == "POST" and form.is_valid():
        try:
            operation = services.backup_restore(
                request.user, backup, **form.cleaned_data, idempotency_key=key_of(request)
            )
        except StowageError as error:
            add_error(form, error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {
        "backup": backup,
        "form": form,
        "why_not": why_no_backup_verb(backup, "restore", busy=busy_with("backup", backup.pk)),
        "once_token": request.POST.get(FIELD) or token_new(),
    }
    return render(request, "workloads/restore.html", context, status=422 if form.errors else 200)


@action("administer")
def backup_folder_set(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host, path = get_object_or_404(Host, pk=uuid), request.POST.get("path", "")[:400]
    success = f"Backups of what is on {host.name} go there from now on."
    done_or_said(request, lambda: services.backup_folder_set(request.user, host, path), success)
    return redirect("backups")


@action("operate")
def backups_find(request: HttpRequest, uuid: UUID) -> HttpResponse:
    host = get_object_or_404(Host, pk=uuid)
    return _done(request, lambda: services.backups_find(request.user, host, idempotency_key=key_of(request)))


def _done(request: HttpRequest, act: Callable[[], Any], back: str = "") -> HttpResponse:
    operation = done_or_said(request, act)
    return redirect("operation", uuid=operation.pk) if operation else redirect(back or "backups")
