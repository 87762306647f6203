"""What VMs and containers cost here, measured, over HTTP."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Status

from hosts.api import OPERATE, PAGE_MOST, VIEW, host_found
from hosts.models import Operation
from hosts.schemas import OperationOut
from workloads import services
from workloads.api import image_found
from workloads.models import Measurement
from workloads.schemas import MeasureIn, MeasurementOut

router = Router(tags=["measurements"])


@router.get("", response=list[MeasurementOut], auth=VIEW)
def measurement_list(request: HttpRequest, limit: int = Query(50, ge=1, le=PAGE_MOST)) -> QuerySet[Measurement]:
    return Measurement.objects.select_related("host")[:limit]


@router.post("", response={202: list[OperationOut]}, auth=OPERATE)
def measure(request: HttpRequest, payload: MeasureIn) -> Status[tuple[Operation, Operation]]:
    """The VM's operation and the container's, which begins when the VM's is over."""
    values = payload.dict()
    host, image = host_found(values.pop("host")), image_found(values.pop("image"))
    return Status(202, services.choice_measure(request.user, host, image=image, **values))
