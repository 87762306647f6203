"""Uploads of images in pieces: begin, send each piece from where the last one ended, finish."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Router, Status

from hosts.api import OPERATE, host_found
from hosts.errors import NotFound
from hosts.models import Operation
from workloads import services
from workloads.models import Image, ImageArrival
from workloads.schemas import ArrivalDone, ArrivalIn, ArrivalOut, FinishIn

router = Router(tags=["images"])
CHUNK_BYTES = 1024 * 1024


def arrival_found(uuid: UUID) -> ImageArrival:
    arrival = ImageArrival.objects.filter(pk=uuid).first()
    if arrival is None:
        raise NotFound("There is no such upload. It was finished or given up, or nothing came for two days.")
    return arrival


@router.get("", response=list[ArrivalOut], auth=OPERATE)
def arrival_list(request: HttpRequest) -> QuerySet[ImageArrival]:
    return ImageArrival.objects.all()


@router.post("", response={201: ArrivalOut}, auth=OPERATE)
def arrival_begin(request: HttpRequest, payload: ArrivalIn) -> Status[ImageArrival]:
    return Status(201, services.arrival_begin(request.user, **payload.dict()))


@router.get("/{uuid:uuid}", response=ArrivalOut, auth=OPERATE)
def arrival_one(request: HttpRequest, uuid: UUID) -> ImageArrival:
    return arrival_found(uuid)


@router.put("/{uuid:uuid}/pieces/{int:offset}", response=ArrivalOut, auth=OPERATE)
def arrival_write(request: HttpRequest, uuid: UUID, offset: int) -> ImageArrival:
    """The body is the piece, at most 64 MiB; it begins at `received_bytes` of the answer before."""
    arrival = arrival_found(uuid)
    services.arrival_write(request.user, arrival, offset, iter(lambda: request.read(CHUNK_BYTES), b""))
    return arrival


@router.post("/{uuid:uuid}/finish", response={202: ArrivalDone}, auth=OPERATE)
def arrival_finish(request: HttpRequest, uuid: UUID, payload: FinishIn) -> Status[dict[str, UUID | None]]:
    """The image that is there now, or the operation that makes it on a host."""
    host = host_found(payload.host) if payload.host else None
    made: Image | Operation = services.arrival_finish(request.user, arrival_found(uuid), host=host)
    is_image = isinstance(made, Image)
    return Status(202, {"image": made.pk if is_image else None, "operation": None if is_image else made.pk})


@router.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def arrival_give_up(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.arrival_give_up(request.user, arrival_found(uuid))
    return Status(204, None)
