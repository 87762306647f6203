"""The shapes of workloads and images in the API. Fields are named one by one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema

from workloads.models import Console, HostImage, Measurement, Template, VirtualMachine, Workload
from workloads.sagas.cdrom import iso_of
from workloads.services.bulk import Member


class WorkloadOut(Schema):
    uuid: UUID
    kind: str
    name: str
    host: str | None
    host_uuid: UUID | None = Field(alias="host_id")
    desired: str
    state: str
    state_reason: str
    cpu_cores: float
    memory_mib: int
    disk_gib: float
    is_adopted: bool
    is_pinned: bool
    pin_reason: str
    anti_affinity_group: str
    observed_at: datetime | None
    expires_at: datetime | None
    expiry: str  # what becomes of it then
    expiry_note: str

    @staticmethod
    def resolve_host(workload: Workload) -> str | None:
        return workload.host.name if workload.host else None


class WorkloadPage(Schema):
    items: list[WorkloadOut]
    count: int


class FirstBootIn(Schema):
    user: str = Field("", max_length=32)
    ssh_keys: list[str] = Field(default=[], max_length=50)
    password: str = Field("", max_length=128)
    packages: list[str] = Field(default=[], max_length=200)
    address: str = Field("", max_length=64)
    gateway: str = Field("", max_length=45)
    name_servers: list[str] = Field(default=[], max_length=8)
    user_data: str = Field("", max_length=65536)


class VmIn(Schema):
    name: str = Field(max_length=63)
    image: UUID | None = None  # its disk is a copy; without one it is empty
    more_disks_gib: list[Annotated[float, Field(gt=0, le=1e6)]] = Field([], max_length=8)  # empty ones
    more_bridges: list[Annotated[str, Field(max_length=63)]] = Field([], max_length=7)  # for further network cards
    iso: UUID | None = None  # in its CD-ROM drive, from which it starts until it is ejected
    firmware: str = Field("bios", max_length=11)  # or uefi, or uefi-secure for secure boot, where the host has it
    has_tpm: bool = False  # an emulated TPM 2.0, where the host has one
    machine: str = Field("q35", max_length=3)  # or pc
    cpu_model: str = Field("", max_length=63)  # one of QEMU's names; empty: what suits the host
    cpu_cores: int = Field(1, ge=1, le=1024)
    memory_mib: int = Field(256, ge=1, le=2**31 - 1)
    disk_gib: float = Field(1, gt=0, le=1e6)
    first_boot: FirstBootIn | None = None
    host: UUID | None = None
    anti_affinity_group: str = Field("", max_length=63)
    may_wake: bool = False  # a host that is off will do: it is woken, and the operation waits for it


class PortIn(Schema):
    host: int | None = Field(None, ge=1, le=65535)
    container: int = Field(ge=1, le=65535)
    protocol: str = Field("tcp", max_length=4)


class VolumeIn(Schema):
    source: str = Field(max_length=300)
    target: str = Field(max_length=300)
    kind: str = Field("volume", max_length=10)
    is_read_only: bool = False


class ContainerIn(Schema):
    name: str = Field(max_length=63)
    image: str = Field(max_length=300)
    command: list[str] = Field(default=[], max_length=200)
    environment: dict[str, str] = {}
    ports: list[PortIn] = Field(default=[], max_length=100)
    volumes: list[VolumeIn] = Field(default=[], max_length=32)
    restart_policy: str = Field("unless-stopped", max_length=20)
    run_as: str = Field("", max_length=65)
    is_read_only: bool = False
    health_command: str = Field("", max_length=1000)
    cpu_cores: float = Field(0.5, gt=0, le=1024)
    memory_mib: int = Field(128, ge=1, le=2**31 - 1)
    host: UUID | None = None
    anti_affinity_group: str = Field("", max_length=63)
    may_wake: bool = False  # a host that is off will do: it is woken, and the operation waits for it


class BulkIn(Schema):
    verb: str = Field(max_length=20)
    workloads: list[UUID] = Field(max_length=200)


class MemberOut(Schema):
    workload: UUID
    name: str
    operation: UUID | None
    sentence: str

    @staticmethod
    def resolve_workload(member: Member) -> UUID:
        return member.workload.pk

    @staticmethod
    def resolve_name(member: Member) -> str:
        return member.workload.name

    @staticmethod
    def resolve_operation(member: Member) -> UUID | None:
        return member.operation.pk if member.operation else None


class SizeIn(Schema):
    cpu_cores: float = Field(gt=0, le=1024)
    memory_mib: int = Field(ge=1, le=2**31 - 1)


class DiskSizeIn(Schema):
    target: str = Field(max_length=20)
    size_gib: float = Field(gt=0, le=65536)


class NameIn(Schema):
    name: str = Field(max_length=63)


class FlavourIn(Schema):
    name: str = Field(max_length=63)
    cpu_cores: int = Field(ge=1, le=1024)
    memory_mib: int = Field(ge=1, le=2**31 - 1)
    disk_gib: float = Field(gt=0, le=1e6)


class FlavourOut(FlavourIn):
    uuid: UUID


class TemplateIn(Schema):
    """Either `vm` or `container`; their name, host and first boot are not kept."""

    name: str = Field(max_length=63)
    note: str = Field("", max_length=200)
    vm: VmIn | None = None
    container: ContainerIn | None = None


class TemplateOut(Schema):
    """Of a container's environment the names alone, for values may be secrets."""

    uuid: UUID
    name: str
    version: int
    kind: str
    note: str
    made_by_name: str
    created_at: datetime
    wish: dict[str, Any]

    @staticmethod
    def resolve_wish(template: Template) -> dict[str, Any]:
        wish = dict(template.wish)
        if "environment" in wish:
            wish["environment"] = sorted(wish["environment"])
        return wish


class UseIn(Schema):
    name: str = Field(max_length=63)
    host: UUID | None = None
    may_wake: bool = False
    first_boot: FirstBootIn | None = None  # VMs alone


class ArrivalIn(Schema):
    """A file to come: its size is that of the whole, its format may be one of other systems."""

    name: str = Field(max_length=63)
    format: str = Field(max_length=10)
    size_bytes: int = Field(ge=1, le=2**50)
    sha256: str = Field("", max_length=64)
    reference: str = Field("", max_length=300)


class ArrivalOut(Schema):
    uuid: UUID
    name: str
    format: str
    size_bytes: int
    received_bytes: int  # the next piece begins here
    sha256: str
    began_at: datetime


class ArrivalDone(Schema):
    image: UUID | None
    operation: UUID | None


class FinishIn(Schema):
    host: UUID | None = None  # that reads a foreign format; empty: one is chosen


class FetchIn(Schema):
    name: str = Field(max_length=63)
    format: str = Field("qcow2", max_length=10)
    url: str = Field(max_length=1000)
    sha256: str = Field("", max_length=64)
    host: UUID | None = None


class MeasureIn(Schema):
    host: UUID
    image: UUID
    container_image: str = Field(max_length=255)
    sign: str = Field("login:", max_length=200)  # what the VM writes on its serial line when it serves
    memory_mib: int = Field(256, ge=1, le=2**31 - 1)


class MeasurementOut(Schema):
    """`used_mib` and `disk_mib` of the host; a container's disk with the image that others share."""

    kind: str
    host: str
    image_name: str
    sign: str
    start_s: float
    promised_mib: int
    used_mib: float
    disk_mib: float
    taken_at: datetime

    @staticmethod
    def resolve_host(row: Measurement) -> str:
        return row.host.name


class ExpiryIn(Schema):
    """Without `at` it has no end."""

    at: datetime | None = None
    then: str = Field("stop", max_length=6)  # stop, or delete


class DiskIn(Schema):
    size_gib: float = Field(gt=0, le=1e6)
    pool: str = Field("", max_length=100)  # by its name; empty: the one of the host with the most room


class NicIn(Schema):
    bridge: str = Field(max_length=63)


class IsoIn(Schema):
    image: UUID


class CdromOut(Schema):
    has_cdrom: bool
    path: str = Field(alias="cdrom_path")  # on its host; empty: nothing is in the drive
    image: UUID | None  # the ISO of the library that this is

    @staticmethod
    def resolve_image(vm: VirtualMachine) -> UUID | None:
        found = iso_of(vm.cdrom_path)
        return found.pk if found else None


class CloneIn(Schema):
    name: str = Field(max_length=63)
    start: bool = False
    first_boot: FirstBootIn | None = None


class SaveImageIn(Schema):
    name: str = Field(max_length=63)
    target: str = Field("", max_length=20)  # a disk, such as vda; empty: the first


class ImageChoiceIn(Schema):
    image: str = Field("", max_length=300)


class SnapshotIn(Schema):
    name: str = Field(max_length=63)


class SnapshotOut(Schema):
    number: int = Field(alias="pk")
    name: str
    parent: str = Field(alias="parent_name")
    taken_at: datetime
    has_memory: bool
    is_current: bool


class MoveIn(Schema):
    target: UUID
    bandwidth_mib_s: int | None = Field(None, ge=1, le=100_000)
    auto_converge: bool | None = None


class PinIn(Schema):
    on: bool
    reason: str = Field("", max_length=200)


class ApartIn(Schema):
    group: str = Field("", max_length=63)


class ImageOut(Schema):
    uuid: UUID
    name: str
    format: str
    reference: str
    sha256: str
    size_bytes: int
    virtual_size_bytes: int
    created_at: datetime


class TicketIn(Schema):
    kind: str = Field(max_length=6)
    thing: UUID
    view_only: bool = False
    command: list[str] = Field(default=[], max_length=64)


class TicketOut(Schema):
    ticket: str
    expires_s: int


class ConsoleOut(Schema):
    uuid: UUID
    kind: str
    thing: UUID = Field(alias="thing_id")
    name: str = Field(alias="thing_name")
    user: str
    view_only: bool = Field(alias="is_view_only")
    opened_at: datetime = Field(alias="used_at")

    @staticmethod
    def resolve_user(console: Console) -> str:
        return console.user.get_username()


class ConsoleLogOut(Schema):
    uuid: UUID
    thing: UUID = Field(alias="thing_id")
    name: str = Field(alias="thing_name")
    user: str = Field(alias="user_name")
    began_at: datetime
    ended_at: datetime | None
    size_bytes: int


class RegistryIn(Schema):
    """Without a password the stored one stays, for the address and user that it was given for."""

    address: str = Field(max_length=253)
    username: str = Field(max_length=200)
    password: str = Field("", max_length=5000)


class RegistryOut(Schema):
    uuid: UUID
    address: str
    username: str
    changed_at: datetime


class PullIn(Schema):
    host: UUID
    image: str = Field(max_length=255)
    stall_timeout_s: float = Field(60.0, ge=3, le=3600)


class HostImageOut(Schema):
    uuid: UUID
    host: str
    engine_id: str
    names: list[str]
    size_bytes: int
    used_by: list[str]

    @staticmethod
    def resolve_host(image: HostImage) -> str:
        return image.host.name
