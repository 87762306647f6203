"""Templates and flavours over HTTP."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Router, Status

from hosts.api import OPERATE, VIEW, host_found
from hosts.errors import Invalid, NotFound
from hosts.models import Operation
from hosts.schemas import OperationOut
from workloads import services
from workloads.api import first_boot_of, images_of
from workloads.models import Flavour, Template
from workloads.schemas import FlavourIn, FlavourOut, TemplateIn, TemplateOut, UseIn

templates = Router(tags=["templates"])
flavours = Router(tags=["flavours"])


def template_found(uuid: UUID) -> Template:
    template = Template.objects.filter(pk=uuid).first()
    if template is None:
        raise NotFound("There is no such template. It may have been removed.")
    return template


@templates.get("", response=list[TemplateOut], auth=VIEW)
def template_list(request: HttpRequest) -> QuerySet[Template]:
    return Template.objects.all()


@templates.post("", response={201: TemplateOut}, auth=OPERATE)
def template_save(request: HttpRequest, payload: TemplateIn) -> Status[Template]:
    """The next version of that name."""
    if (payload.vm is None) == (payload.container is None):
        raise Invalid("Say either what VM it is, or what container.", field="vm")
    if payload.vm is not None:
        wish = payload.vm.dict(exclude={"first_boot"}) | images_of(payload.vm)
    else:
        assert payload.container is not None
        wish = payload.container.dict()
    kind = "vm" if payload.vm is not None else "container"
    row = services.template_save(request.user, name=payload.name, kind=kind, wish=wish, note=payload.note)
    return Status(201, row)


@templates.post("/{uuid:uuid}/use", response={202: OperationOut}, auth=OPERATE)
def template_use(request: HttpRequest, uuid: UUID, payload: UseIn) -> Status[Operation]:
    """Makes a workload from this version."""
    host = host_found(payload.host) if payload.host else None
    wanted = {"name": payload.name, "may_wake": payload.may_wake, "first_boot": first_boot_of(payload)}
    return Status(202, services.template_use(request.user, template_found(uuid), host=host, **wanted))


@templates.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def template_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.template_remove(request.user, template_found(uuid))
    return Status(204, None)


@flavours.get("", response=list[FlavourOut], auth=VIEW)
def flavour_list(request: HttpRequest) -> QuerySet[Flavour]:
    return Flavour.objects.all()


@flavours.post("", response={201: FlavourOut}, auth=OPERATE)
def flavour_add(request: HttpRequest, payload: FlavourIn) -> Status[Flavour]:
    return Status(201, services.flavour_add(request.user, **payload.dict()))


@flavours.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def flavour_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    flavour = Flavour.objects.filter(pk=uuid).first()
    if flavour is None:
        raise NotFound("There is no such flavour. It may have been removed.")
    services.flavour_remove(request.user, flavour)
    return Status(204, None)
