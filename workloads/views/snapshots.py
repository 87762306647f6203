"""A VM's snapshots on its page, and their verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from hosts.buttons import Button
from hosts.doors import action, done_or_said
from hosts.once import key_of
from workloads import services
from workloads.models import Snapshot, VirtualMachine, Workload

REVERT_ASK = (
    "The VM becomes what it was at {name}. Everything that it wrote since then is lost, on its disks and in its memory."
    " It will be {then} afterwards."
)
DELETE_ASK = "The VM goes on as it is, and later snapshots stay. It can no longer be brought back to {name}."


@dataclass(frozen=True)
class Shown:
    """A snapshot with what may be done to it; `depth` counts those it grew from."""

    snapshot: Snapshot
    depth: int
    buttons: tuple[Button, ...]


def snapshots_shown(workload: Workload, own: Any, refused: str | None) -> list[Shown]:
    """The tree, each followed by those that grew from it."""
    if workload.kind != Workload.Kind.VM:
        return []
    rows = list(own.snapshots.all())
    names = {row.name for row in rows}
    shown: list[Shown] = []

    def grow(parent: str, depth: int) -> None:
        for row in rows:
            if (row.parent_name if row.parent_name in names else "") == parent and row.name != parent:
                shown.append(Shown(row, depth, _buttons(row, refused)))
                if len(shown) <= len(rows):  # a host that names a circle must not hang the page
                    grow(row.name, depth + 1)

    grow("", 0)
    return shown


def why_not_taken(own: Any, refused: str | None) -> str | None:
    """None, or why no new snapshot can be taken; going back and deleting may still be possible."""
    return refused or (services.why_no_snapshot(own) if isinstance(own, VirtualMachine) else None)


def _buttons(row: Snapshot, refused: str | None) -> tuple[Button, ...]:
    def button(verb: str, label: str, style: str, ask: str) -> Button:
        url = reverse(f"snapshot-{verb}", args=[row.vm_id, row.pk])
        return Button(f"{verb}-{row.pk}", label, url, refused, style, "", ask=ask)

    then = "on, in the middle of what it did then," if row.has_memory else "off"
    return (
        button("revert", "Go back", "btn-sm btn-outline-danger", REVERT_ASK.format(name=row.name, then=then)),
        button("delete", "Delete", "btn-sm btn-outline-danger", DELETE_ASK.format(name=row.name)),
    )


@action("operate")
def snapshot_take(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)
    name = request.POST.get("name", "")[:300]
    return _done(
        request, uuid, lambda: services.snapshot_take(request.user, vm, name=name, idempotency_key=key_of(request))
    )


@action("operate")
def snapshot_revert(request: HttpRequest, uuid: UUID, number: int) -> HttpResponse:
    snapshot = _snapshot(uuid, number)
    return _done(
        request, uuid, lambda: services.snapshot_revert(request.user, snapshot, idempotency_key=key_of(request))
    )


@action("operate")
def snapshot_delete(request: HttpRequest, uuid: UUID, number: int) -> HttpResponse:
    snapshot = _snapshot(uuid, number)
    return _done(
        request, uuid, lambda: services.snapshot_delete(request.user, snapshot, idempotency_key=key_of(request))
    )


def _snapshot(vm: UUID, number: int) -> Snapshot:
    return get_object_or_404(Snapshot.objects.select_related("vm__host"), vm=vm, pk=number)


def _done(request: HttpRequest, vm: UUID, act: Callable[[], Any]) -> HttpResponse:
    operation = done_or_said(request, act)
    return redirect("workload", uuid=vm) if operation is None else redirect("operation", uuid=operation.pk)
