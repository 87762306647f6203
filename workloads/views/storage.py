"""The page of storage pools: how full, who shares them, what lies in them and whose it is."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from hosts.access import NOT_AN_OPERATOR, may
from hosts.buttons import Button
from hosts.doors import action, done_or_said, page
from hosts.models import PoolFile
from hosts.once import key_of
from hosts.regions import render_page
from workloads import services
from workloads.storage import FileLine, pools_viewed


@page("view")
def storage(request: HttpRequest) -> HttpResponse:
    is_operator = may(request.user, "operate")
    pools = [(view, [(line, _button(line, is_operator)) for line in view.lines]) for view in pools_viewed()]
    return render_page(request, "workloads/storage.html", "workloads/_storage.html", {"pools": pools})


def _button(line: FileLine, is_operator: bool) -> Button | None:
    """Only for what nobody owns: a disk is removed with its VM."""
    if line.what not in ("set aside", "left over"):
        return None
    ask = f"{line.file.name} is deleted from the pool {line.file.pool.name} for good. Nothing brings it back."
    url = reverse("pool-file-remove", args=[line.file.pk])
    return Button(
        f"file-{line.file.pk}", "Remove", url, line.why_not if is_operator else NOT_AN_OPERATOR, "btn-sm", "", ask
    )


@action("operate")
def pool_file_remove(request: HttpRequest, uuid: UUID) -> HttpResponse:
    file = get_object_or_404(PoolFile.objects.select_related("pool"), pk=uuid)
    operation = done_or_said(
        request, lambda: services.pool_file_remove(request.user, file, idempotency_key=key_of(request))
    )
    return redirect("operation", uuid=operation.pk) if operation else redirect("storage")
