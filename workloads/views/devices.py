"""What the page of a VM asks for its disks and network cards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from hosts.doors import action, done_or_said, must_have_typed
from hosts.errors import Invalid
from hosts.once import key_of
from workloads import services
from workloads.models import VirtualMachine


@action("operate")
def disk_add(request: HttpRequest, uuid: UUID) -> HttpResponse:
    def act(vm: VirtualMachine) -> Any:
        try:
            size_gib = float(request.POST.get("size_gib", ""))
        except ValueError as error:
            raise Invalid("Write the disk's size in GiB as a number.", field="size_gib") from error
        pool = request.POST.get("pool", "")[:100]
        return services.disk_add(request.user, vm, size_gib=size_gib, pool=pool, idempotency_key=key_of(request))

    return _done(request, uuid, act)


@action("operate")
def disk_detach(request: HttpRequest, uuid: UUID, target: str) -> HttpResponse:
    def act(vm: VirtualMachine) -> Any:
        is_removed = request.POST.get("remove_file") == "1"
        if is_removed:
            must_have_typed(request, vm.name)
        wanted = {"target": target[:20], "remove_file": is_removed}
        return services.disk_detach(request.user, vm, **wanted, idempotency_key=key_of(request))

    return _done(request, uuid, act)


@action("operate")
def nic_add(request: HttpRequest, uuid: UUID) -> HttpResponse:
    bridge = request.POST.get("bridge", "")[:63]
    key = key_of(request)
    return _done(request, uuid, lambda vm: services.nic_add(request.user, vm, bridge=bridge, idempotency_key=key))


@action("operate")
def nic_detach(request: HttpRequest, uuid: UUID) -> HttpResponse:
    mac, key = request.POST.get("mac", "")[:40], key_of(request)
    return _done(request, uuid, lambda vm: services.nic_detach(request.user, vm, mac=mac, idempotency_key=key))


def _done(request: HttpRequest, uuid: UUID, act: Callable[[VirtualMachine], Any]) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)
    operation = done_or_said(request, lambda: act(vm))
    return redirect("workload", uuid=uuid) if operation is None else redirect("operation", uuid=operation.pk)
