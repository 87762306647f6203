"""What a workload's page asks for its name and, of a container, its image."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from hosts.doors import action, done_or_said
from hosts.once import key_of
from workloads import services
from workloads.models import Container, Workload


@action("operate")
def workload_rename(request: HttpRequest, uuid: UUID) -> HttpResponse:
    workload = get_object_or_404(Workload, pk=uuid)

    def act() -> Any:
        name = request.POST.get("name", "")[:300]
        return services.workload_rename(request.user, workload, name=name, idempotency_key=key_of(request))

    return _done(request, uuid, done_or_said(request, act))


@action("operate")
def container_recreate(request: HttpRequest, uuid: UUID) -> HttpResponse:
    container = get_object_or_404(Container, pk=uuid)

    def act() -> Any:
        image = request.POST.get("image", "")[:400]
        return services.container_recreate(request.user, container, image=image, idempotency_key=key_of(request))

    return _done(request, uuid, done_or_said(request, act))


def _done(request: HttpRequest, workload: UUID, operation: Any) -> HttpResponse:
    return redirect("workload", uuid=workload) if operation is None else redirect("operation", uuid=operation.pk)
