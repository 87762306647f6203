"""Container images on hosts and registries over HTTP. No answer carries a password."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from hosts.api import OPERATE, VIEW, host_found
from hosts.errors import NotFound
from hosts.models import Operation
from hosts.schemas import OperationOut
from workloads import services
from workloads.models import HostImage, Registry
from workloads.schemas import HostImageOut, PullIn, RegistryIn, RegistryOut

router = Router(tags=["container images"])
registries = Router(tags=["registries"])


def registry_found(uuid: UUID) -> Registry:
    registry = Registry.objects.filter(pk=uuid).first()
    if registry is None:
        raise NotFound("There is no such registry. It may have been removed.")
    return registry


@router.get("", response=list[HostImageOut], auth=VIEW)
def container_image_list(request: HttpRequest, host: str = Query("", max_length=63)) -> QuerySet[HostImage]:
    rows = HostImage.objects.select_related("host")
    return rows.filter(host__name=host) if host else rows


@router.post("/pull", response={202: OperationOut}, auth=OPERATE)
def container_image_pull(request: HttpRequest, payload: PullIn) -> Status[Operation]:
    values = payload.dict()
    return Status(202, services.container_image_pull(request.user, host_found(values.pop("host")), **values))


@router.delete("/{uuid:uuid}", response={202: OperationOut}, auth=OPERATE)
def container_image_remove(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    image = HostImage.objects.select_related("host").filter(pk=uuid).first()
    if image is None:
        raise NotFound("There is no such container image on a host. It may have been removed.")
    return Status(202, services.container_image_remove(request.user, image))


@registries.get("", response=list[RegistryOut], auth=VIEW)
def registry_list(request: HttpRequest) -> QuerySet[Registry]:
    return Registry.objects.all()


@registries.post("", response={201: RegistryOut}, auth=OPERATE)
def registry_add(request: HttpRequest, payload: RegistryIn) -> Status[Registry]:
    return Status(201, services.registry_add(request.user, **payload.dict()))


@registries.put("/{uuid:uuid}", response=RegistryOut, auth=OPERATE)
def registry_edit(request: HttpRequest, uuid: UUID, payload: RegistryIn) -> Registry:
    return services.registry_edit(request.user, registry_found(uuid), **payload.dict())


@registries.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def registry_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.registry_remove(request.user, registry_found(uuid))
    return Status(204, None)
