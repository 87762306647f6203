"""What comes of a VM that is off: another VM, or an image."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from hosts.doors import action, done_or_said, form_page
from hosts.errors import StowageError
from hosts.forms import add_error
from hosts.once import FIELD, key_of, token_new
from hosts.services.doors import busy_with
from workloads import services
from workloads.forms import CloneForm, FirstBootForm
from workloads.models import VirtualMachine
from workloads.states import why_not


@form_page("operate")
def vm_clone(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)
    form = CloneForm(request.POST or None, initial={"name": f"{vm.name}-2"[:63]})
    more = FirstBootForm(request.POST or None)
    if request.method == "POST" and all([form.is_valid(), more.is_valid()]):
        try:
            wanted = form.cleaned_data | {"first_boot": more.wish(), "idempotency_key": key_of(request)}
            operation = services.vm_clone(request.user, vm, **wanted)
        except StowageError as error:
            add_error(more if getattr(error, "field", None) in more.fields else form, error)
        else:
            return redirect("operation", uuid=operation.pk)
    context = {
        "vm": vm,
        "form": form,
        "more": more,
        "why_not": why_not(vm, "clone", busy=busy_with(vm.kind, vm.pk)),
        "once_token": request.POST.get(FIELD) or token_new(),
    }
    return render(request, "workloads/clone.html", context, status=422 if form.errors or more.errors else 200)


@action("operate")
def vm_save_image(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)

    def act() -> Any:
        name, target = request.POST.get("name", "")[:300], request.POST.get("target", "")[:20]
        return services.vm_save_image(request.user, vm, name=name, target=target, idempotency_key=key_of(request))

    operation = done_or_said(request, act)
    return redirect("workload", uuid=uuid) if operation is None else redirect("operation", uuid=operation.pk)
