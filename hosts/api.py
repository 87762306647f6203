"""Hosts, racks and operations over HTTP: typed functions over the same services as the pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from hosts import chronicle, queries, services
from hosts.errors import NotFound
from hosts.models import Host, Operation, Rack
from hosts.rights import Right
from hosts.schemas import (
    BmcIn,
    DrillIn,
    EnrolIn,
    EnrolmentOut,
    HostOut,
    HostPatch,
    LiftIn,
    OperationDetailOut,
    OperationOut,
    OperationPage,
    RackOut,
    RetryIn,
    operation_detail,
)

VIEW, OPERATE, ADMINISTER = Right("view"), Right("operate"), Right("administer")
PAGE_MOST = 200
router = Router(tags=["hosts"])
operations = Router(tags=["operations"])


def host_found(uuid: UUID) -> Host:
    host = queries.hosts_all().filter(pk=uuid).first()
    if host is None:
        raise NotFound("There is no such host. It may have been removed.")
    return host


def operation_found(uuid: UUID) -> Operation:
    operation = Operation.objects.filter(pk=uuid).first()
    if operation is None:
        raise NotFound("There is no such operation.")
    return operation


@router.get("", response=list[HostOut], auth=VIEW)
def host_list(request: HttpRequest) -> QuerySet[Host]:
    return queries.hosts_all()


@router.get("/racks", response=list[RackOut], auth=VIEW)
def rack_list(request: HttpRequest) -> QuerySet[Rack]:
    return Rack.objects.select_related("site")


@router.post("", response={201: EnrolmentOut}, auth=ADMINISTER)
def host_enrol(request: HttpRequest, payload: EnrolIn) -> Status[dict[str, Any]]:
    values = payload.dict()
    rack = Rack.objects.filter(pk=values.pop("rack_id")).first()
    if rack is None:
        raise NotFound("There is no such rack. Make it first.")
    return Status(201, _told(services.host_enrol(request.user, rack=rack, **values)))


def _told(enrolment: services.Enrolment) -> dict[str, Any]:
    return {"host": enrolment.host.pk, "token": enrolment.token, "operation": enrolment.operation.pk}


@router.get("/{uuid:uuid}", response=HostOut, auth=VIEW)
def host_one(request: HttpRequest, uuid: UUID) -> Host:
    return host_found(uuid)


@router.patch("/{uuid:uuid}", response=HostOut, auth=ADMINISTER)
def host_edit(request: HttpRequest, uuid: UUID, payload: HostPatch) -> Host:
    services.host_edit(request.user, host_found(uuid), **payload.dict(exclude_unset=True))
    return host_found(uuid)


@router.delete("/{uuid:uuid}", response={204: None}, auth=ADMINISTER)
def host_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.host_remove(request.user, host_found(uuid))
    return Status(204, None)


@router.post("/{uuid:uuid}/retry", response={202: EnrolmentOut}, auth=ADMINISTER)
def host_retry_enrolment(request: HttpRequest, uuid: UUID, payload: RetryIn) -> Status[dict[str, Any]]:
    enrolment = services.host_retry_enrolment(request.user, host_found(uuid), **payload.dict())
    return Status(202, _told(enrolment))


@router.put("/{uuid:uuid}/bmc", response={202: OperationOut}, auth=ADMINISTER)
def host_bmc_edit(request: HttpRequest, uuid: UUID, payload: BmcIn) -> Status[Operation]:
    return Status(202, services.host_bmc_edit(request.user, host_found(uuid), **payload.dict()))


@router.post("/{uuid:uuid}/power-on", response={202: OperationOut}, auth=OPERATE)
def host_power_on(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.host_power_on(request.user, host_found(uuid)))


@router.post("/{uuid:uuid}/power-off", response={202: OperationOut}, auth=OPERATE)
def host_power_off(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.host_power_off(request.user, host_found(uuid)))


@router.post("/{uuid:uuid}/wake-drill", response={202: OperationOut}, auth=OPERATE)
def host_wake_drill(request: HttpRequest, uuid: UUID, payload: DrillIn) -> Status[Operation]:
    """Switches an empty host off and wakes it again, with the time taken. One that does not wake: quarantine."""
    return Status(202, services.host_wake_drill(request.user, host_found(uuid), **payload.dict()))


@router.post("/{uuid:uuid}/lift-quarantine", response={202: OperationOut}, auth=OPERATE)
def host_quarantine_lift(request: HttpRequest, uuid: UUID, payload: LiftIn) -> Status[Operation]:
    return Status(202, services.host_quarantine_lift(request.user, host_found(uuid), **payload.dict()))


@router.post("/{uuid:uuid}/maintenance", response={202: OperationOut}, auth=OPERATE)
def host_maintain(request: HttpRequest, uuid: UUID, on: bool = True) -> Status[Operation]:
    return Status(202, services.host_maintain(request.user, host_found(uuid), on=on))


@operations.get("", response=OperationPage, auth=VIEW)
def operation_list(
    request: HttpRequest,
    state: str = Query("", max_length=20),
    text: str = Query("", max_length=63),
    offset: int = Query(0, ge=0, le=10**9),
    limit: int = Query(50, ge=1, le=PAGE_MOST),
) -> dict[str, Any]:
    rows = chronicle.operations_listed(state, text)
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@operations.get("/{uuid:uuid}", response=OperationDetailOut, auth=VIEW)
def operation_one(request: HttpRequest, uuid: UUID) -> dict[str, Any]:
    operation = operation_found(uuid)
    return operation_detail(operation, chronicle.journal_of(operation), chronicle.layers_of(operation))


@operations.post("/{uuid:uuid}/cancel", response={202: OperationOut}, auth=OPERATE)
def operation_cancel(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    services.operation_cancel(request.user, operation_found(uuid))
    return Status(202, operation_found(uuid))


@operations.post("/{uuid:uuid}/retry", response={202: OperationOut}, auth=OPERATE)
def operation_retry(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    services.operation_retry(request.user, operation_found(uuid))
    return Status(202, operation_found(uuid))


@operations.post("/{uuid:uuid}/close", response=OperationOut, auth=ADMINISTER)
def operation_close(request: HttpRequest, uuid: UUID) -> Operation:
    services.operation_close(request.user, operation_found(uuid))
    return operation_found(uuid)
