"""Workloads and images over HTTP: typed functions over the same services as the pages."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import File, Form, Query, Router, Status
from ninja.files import UploadedFile

from hosts.api import OPERATE, PAGE_MOST, VIEW, host_found
from hosts.errors import Invalid, NotFound
from hosts.models import Host, Operation
from hosts.schemas import OperationOut
from workloads import queries, services
from workloads.first_boot import FirstBoot
from workloads.image_download import download_answer
from workloads.models import Container, Image, Snapshot, VirtualMachine, Workload
from workloads.schemas import (
    ApartIn,
    BulkIn,
    CdromOut,
    CloneIn,
    ContainerIn,
    DiskIn,
    DiskSizeIn,
    ExpiryIn,
    FetchIn,
    ImageChoiceIn,
    ImageOut,
    IsoIn,
    MemberOut,
    MoveIn,
    NameIn,
    NicIn,
    PinIn,
    SaveImageIn,
    SizeIn,
    SnapshotIn,
    SnapshotOut,
    UseIn,
    VmIn,
    VolumeIn,
    WorkloadOut,
    WorkloadPage,
)
from workloads.services.bulk import Member

router = Router(tags=["workloads"])
images = Router(tags=["images"])


def workload_found(uuid: UUID) -> Workload:
    workload = Workload.objects.select_related("host").filter(pk=uuid).first()
    if workload is None:
        raise NotFound("There is no such workload. It may have been removed.")
    return workload


def vm_found(uuid: UUID) -> VirtualMachine:
    vm = VirtualMachine.objects.select_related("host").filter(pk=uuid).first()
    if vm is None:
        raise NotFound("There is no such VM. It may have been removed.")
    return vm


def container_found(uuid: UUID) -> Container:
    container = Container.objects.select_related("host").filter(pk=uuid).first()
    if container is None:
        raise NotFound("There is no such container. It may have been removed.")
    return container


def snapshot_found(vm: UUID, number: int) -> Snapshot:
    snapshot = Snapshot.objects.select_related("vm__host").filter(vm=vm, pk=number).first()
    if snapshot is None:
        raise NotFound("There is no such snapshot. It may have been deleted.")
    return snapshot


def image_found(uuid: UUID) -> Image:
    image = Image.objects.filter(pk=uuid).first()
    if image is None:
        raise NotFound("There is no such image. Add it first.")
    return image


def first_boot_of(payload: VmIn | CloneIn | UseIn) -> FirstBoot | None:
    return FirstBoot.from_data(payload.first_boot.dict()) if payload.first_boot else None


def images_of(payload: VmIn) -> dict[str, Image | None]:
    """The images that a new VM is made from, by what they are for; raises Invalid without any."""
    asked = {"image": payload.image, "iso": payload.iso}
    if not any(asked.values()):
        raise Invalid("Choose an image, or an ISO to install from.", field="image")
    return {kind: image_found(uuid) if uuid else None for kind, uuid in asked.items()}


def _chosen(uuid: UUID | None) -> Host | None:
    return host_found(uuid) if uuid else None


@router.get("", response=WorkloadPage, auth=VIEW)
def workload_list(
    request: HttpRequest,
    text: str = Query("", max_length=63),
    kind: str = Query("", max_length=20),
    state: str = Query("", max_length=20),
    host: str = Query("", max_length=63),
    sort: str = Query("name", max_length=20),
    offset: int = Query(0, ge=0, le=10**9),
    limit: int = Query(50, ge=1, le=PAGE_MOST),
) -> dict[str, Any]:
    rows = queries.workloads_listed(queries.WorkloadFilter(text, kind, state, host, sort))
    return {"items": list(rows[offset : offset + limit]), "count": rows.count()}


@router.get("/{uuid:uuid}", response=WorkloadOut, auth=VIEW)
def workload_one(request: HttpRequest, uuid: UUID) -> Workload:
    return workload_found(uuid)


@router.post("/bulk", response={202: list[MemberOut]}, auth=OPERATE)
def workload_bulk(request: HttpRequest, payload: BulkIn) -> Status[list[Member]]:
    """Each member's operation, or the sentence why it has none."""
    rows = list(Workload.objects.filter(pk__in=payload.workloads).select_related("host").order_by("name"))
    return Status(202, services.workloads_bulk(request.user, payload.verb, rows))


@router.post("/vms", response={202: OperationOut}, auth=OPERATE)
def vm_create(request: HttpRequest, payload: VmIn) -> Status[Operation]:
    values = payload.dict()
    host, values["first_boot"] = _chosen(values.pop("host")), first_boot_of(payload)
    return Status(202, services.vm_create(request.user, host=host, **values | images_of(payload)))


@router.post("/containers", response={202: OperationOut}, auth=OPERATE)
def container_create(request: HttpRequest, payload: ContainerIn) -> Status[Operation]:
    values = payload.dict()
    return Status(202, services.container_create(request.user, host=_chosen(values.pop("host")), **values))


@router.post("/{uuid:uuid}/start", response={202: OperationOut}, auth=OPERATE)
def workload_start(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_start(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/stop", response={202: OperationOut}, auth=OPERATE)
def workload_stop(request: HttpRequest, uuid: UUID, force: bool = False) -> Status[Operation]:
    return Status(202, services.workload_stop(request.user, workload_found(uuid), force=force))


@router.post("/{uuid:uuid}/restart", response={202: OperationOut}, auth=OPERATE)
def workload_restart(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_restart(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/pause", response={202: OperationOut}, auth=OPERATE)
def workload_pause(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_pause(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/resume", response={202: OperationOut}, auth=OPERATE)
def workload_resume(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_resume(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/reset", response={202: OperationOut}, auth=OPERATE)
def workload_reset(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_reset(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/save", response={202: OperationOut}, auth=OPERATE)
def workload_save(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.workload_save(request.user, workload_found(uuid)))


@router.post("/{uuid:uuid}/wipe-first-boot", response={202: OperationOut}, auth=OPERATE)
def workload_wipe_first_boot(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.seed_wipe(request.user, vm_found(uuid)))


@router.post("/{uuid:uuid}/resize", response={202: OperationOut}, auth=OPERATE)
def workload_resize(request: HttpRequest, uuid: UUID, payload: SizeIn) -> Status[Operation]:
    return Status(202, services.workload_resize(request.user, workload_found(uuid), **payload.dict()))


@router.post("/{uuid:uuid}/rename", response={202: OperationOut}, auth=OPERATE)
def workload_rename(request: HttpRequest, uuid: UUID, payload: NameIn) -> Status[Operation]:
    return Status(202, services.workload_rename(request.user, workload_found(uuid), name=payload.name))


@router.post("/{uuid:uuid}/recreate", response={202: OperationOut}, auth=OPERATE)
def container_recreate(request: HttpRequest, uuid: UUID, payload: ImageChoiceIn) -> Status[Operation]:
    """An empty image: the newest of the container's own image's name."""
    return Status(202, services.container_recreate(request.user, container_found(uuid), image=payload.image))


@router.post("/{uuid:uuid}/grow-disk", response={202: OperationOut}, auth=OPERATE)
def workload_grow_disk(request: HttpRequest, uuid: UUID, payload: DiskSizeIn) -> Status[Operation]:
    return Status(202, services.disk_grow(request.user, vm_found(uuid), **payload.dict()))


@router.get("/{uuid:uuid}/cdrom", response=CdromOut, auth=VIEW)
def cdrom_one(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    return vm_found(uuid)


@router.put("/{uuid:uuid}/cdrom", response={202: OperationOut}, auth=OPERATE)
def iso_insert(request: HttpRequest, uuid: UUID, payload: IsoIn) -> Status[Operation]:
    """An ISO of the library into its CD-ROM drive; a VM that is off gets a drive."""
    return Status(202, services.iso_insert(request.user, vm_found(uuid), image=image_found(payload.image)))


@router.delete("/{uuid:uuid}/cdrom", response={202: OperationOut}, auth=OPERATE)
def iso_eject(request: HttpRequest, uuid: UUID) -> Status[Operation]:
    return Status(202, services.iso_eject(request.user, vm_found(uuid)))


@router.post("/{uuid:uuid}/clone", response={202: OperationOut}, auth=OPERATE)
def vm_clone(request: HttpRequest, uuid: UUID, payload: CloneIn) -> Status[Operation]:
    """A full copy of a stopped VM on its host, with addresses of its own."""
    first_boot, vm = first_boot_of(payload), vm_found(uuid)
    operation = services.vm_clone(request.user, vm, name=payload.name, start=payload.start, first_boot=first_boot)
    return Status(202, operation)


@router.post("/{uuid:uuid}/save-image", response={202: OperationOut}, auth=OPERATE)
def vm_save_image(request: HttpRequest, uuid: UUID, payload: SaveImageIn) -> Status[Operation]:
    """A disk of a stopped VM becomes an image, of which VMs are made on any host; fetch it by /images/…/content."""
    return Status(202, services.vm_save_image(request.user, vm_found(uuid), **payload.dict()))


@router.post("/{uuid:uuid}/disks", response={202: OperationOut}, auth=OPERATE)
def disk_add(request: HttpRequest, uuid: UUID, payload: DiskIn) -> Status[Operation]:
    """An empty disk, also while the VM runs."""
    vm = vm_found(uuid)
    return Status(202, services.disk_add(request.user, vm, size_gib=payload.size_gib, pool=payload.pool))


@router.delete("/{uuid:uuid}/disks/{str:target}", response={202: OperationOut}, auth=OPERATE)
def disk_detach(request: HttpRequest, uuid: UUID, target: str, remove_file: bool = False) -> Status[Operation]:
    """Its file stays in the pool, unless `remove_file`."""
    operation = services.disk_detach(request.user, vm_found(uuid), target=target[:20], remove_file=remove_file)
    return Status(202, operation)


@router.post("/{uuid:uuid}/nics", response={202: OperationOut}, auth=OPERATE)
def nic_add(request: HttpRequest, uuid: UUID, payload: NicIn) -> Status[Operation]:
    return Status(202, services.nic_add(request.user, vm_found(uuid), bridge=payload.bridge))


@router.delete("/{uuid:uuid}/nics/{str:mac}", response={202: OperationOut}, auth=OPERATE)
def nic_detach(request: HttpRequest, uuid: UUID, mac: str) -> Status[Operation]:
    return Status(202, services.nic_detach(request.user, vm_found(uuid), mac=mac[:40]))


@router.get("/{uuid:uuid}/snapshots", response=list[SnapshotOut], auth=VIEW)
def snapshot_list(request: HttpRequest, uuid: UUID) -> QuerySet[Snapshot]:
    return vm_found(uuid).snapshots.all()


@router.post("/{uuid:uuid}/snapshots", response={202: OperationOut}, auth=OPERATE)
def snapshot_take(request: HttpRequest, uuid: UUID, payload: SnapshotIn) -> Status[Operation]:
    return Status(202, services.snapshot_take(request.user, vm_found(uuid), name=payload.name))


@router.post("/{uuid:uuid}/snapshots/{int:number}/revert", response={202: OperationOut}, auth=OPERATE)
def snapshot_revert(request: HttpRequest, uuid: UUID, number: int) -> Status[Operation]:
    return Status(202, services.snapshot_revert(request.user, snapshot_found(uuid, number)))


@router.delete("/{uuid:uuid}/snapshots/{int:number}", response={202: OperationOut}, auth=OPERATE)
def snapshot_delete(request: HttpRequest, uuid: UUID, number: int) -> Status[Operation]:
    return Status(202, services.snapshot_delete(request.user, snapshot_found(uuid, number)))


@router.get("/{uuid:uuid}/volumes", response=list[VolumeIn], auth=VIEW)
def volume_list(request: HttpRequest, uuid: UUID) -> list[dict[str, Any]]:
    return list(container_found(uuid).volumes)


@router.post("/{uuid:uuid}/move", response={202: OperationOut}, auth=OPERATE)
def workload_move(request: HttpRequest, uuid: UUID, payload: MoveIn) -> Status[Operation]:
    workload, target = workload_found(uuid), host_found(payload.target)
    return Status(
        202,
        services.workload_move(
            request.user,
            workload,
            target=target,
            bandwidth_mib_s=payload.bandwidth_mib_s,
            auto_converge=payload.auto_converge,
        ),
    )


@router.post("/{uuid:uuid}/pin", response=WorkloadOut, auth=OPERATE)
def workload_pin(request: HttpRequest, uuid: UUID, payload: PinIn) -> Workload:
    services.workload_pin(request.user, workload_found(uuid), on=payload.on, reason=payload.reason)
    return workload_found(uuid)


@router.post("/{uuid:uuid}/keep-apart", response=WorkloadOut, auth=OPERATE)
def workload_keep_apart(request: HttpRequest, uuid: UUID, payload: ApartIn) -> Workload:
    services.workload_keep_apart(request.user, workload_found(uuid), group=payload.group)
    return workload_found(uuid)


@router.post("/{uuid:uuid}/expiry", response=WorkloadOut, auth=OPERATE)
def workload_expire(request: HttpRequest, uuid: UUID, payload: ExpiryIn) -> Workload:
    if payload.at is not None and payload.at.tzinfo is None:
        raise Invalid("Write the time with its zone, for example 2026-12-01T06:30:00+01:00.", field="at")
    services.workload_expire(request.user, workload_found(uuid), at=payload.at, then=payload.then)
    return workload_found(uuid)


@router.delete("/{uuid:uuid}", response={202: OperationOut}, auth=OPERATE)
def workload_delete(request: HttpRequest, uuid: UUID, volumes: bool = False) -> Status[Operation]:
    """With `volumes` a container's named volumes go too."""
    return Status(202, services.workload_delete(request.user, workload_found(uuid), with_volumes=volumes))


@images.get("", response=list[ImageOut], auth=VIEW)
def image_list(request: HttpRequest) -> QuerySet[Image]:
    return Image.objects.all()


@images.post("", response={201: ImageOut}, auth=OPERATE)
def image_upload(
    request: HttpRequest,
    file: File[UploadedFile],
    name: str = Form(..., max_length=63),
    format: str = Form(..., max_length=10),
    reference: str = Form("", max_length=300),
) -> Status[Image]:
    return Status(201, services.image_upload(request.user, name=name, format=format, reference=reference, file=file))


@images.post("/fetch", response={202: OperationOut}, auth=OPERATE)
def image_fetch(request: HttpRequest, payload: FetchIn) -> Status[Operation]:
    """A disk image on the web, fetched and read by a host."""
    values = payload.dict()
    return Status(202, services.image_fetch(request.user, host=_chosen(values.pop("host")), **values))


@images.get("/{uuid:uuid}/content", auth=OPERATE)
def image_content(request: HttpRequest, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """Its bytes; Range and If-Range go on with a transfer that broke off."""
    return download_answer(request, image_found(uuid))


@images.delete("/{uuid:uuid}", response={204: None}, auth=OPERATE)
def image_remove(request: HttpRequest, uuid: UUID) -> Status[None]:
    services.image_remove(request.user, image_found(uuid))
    return Status(204, None)
