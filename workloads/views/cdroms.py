"""The CD-ROM drive on a VM's page."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from hosts.doors import action, done_or_said
from hosts.errors import Invalid
from hosts.once import key_of
from workloads import services
from workloads.models import Image, VirtualMachine, Workload
from workloads.sagas.cdrom import iso_of


def cdrom_shown(own: Any) -> dict[str, Any]:
    """What the page says of a VM's drive, and what could be put into it."""
    if own is None or own.kind != Workload.Kind.VM:
        return {}
    inside = iso_of(own.cdrom_path) if own.cdrom_path else None
    name = inside.name if inside else own.cdrom_path.rpartition("/")[2]
    return {"cdrom_name": name, "isos": list(Image.objects.filter(format=Image.Format.ISO))}


@action("operate")
def cdrom_change(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Inserts the chosen ISO; ejects where none was chosen."""
    vm = get_object_or_404(VirtualMachine.objects.select_related("host"), pk=uuid)

    def act() -> Any:
        if request.POST.get("act") == "eject":
            return services.iso_eject(request.user, vm, idempotency_key=key_of(request))
        return services.iso_insert(request.user, vm, image=_image(request), idempotency_key=key_of(request))

    operation = done_or_said(request, act)
    return redirect("workload", uuid=uuid) if operation is None else redirect("operation", uuid=operation.pk)


def _image(request: HttpRequest) -> Image:
    try:
        return Image.objects.get(pk=UUID(request.POST.get("image", "")))
    except (ValueError, Image.DoesNotExist) as error:
        raise Invalid("Choose an ISO.", field="image") from error
