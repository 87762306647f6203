"""The shapes of hosts and operations in the API. Fields are named one by one: nothing leaves or enters by accident."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

from hosts.chronicle import StepLine
from hosts.models import Host, Operation
from hosts.queries import host_status


class ErrorOut(Schema):
    """Every refusal: the kind of error and one sentence."""

    error: str
    message: str


class HostOut(Schema):
    uuid: UUID
    name: str
    site: str
    rack: str
    status: str
    status_sentence: str
    lifecycle: str
    power: str
    is_in_maintenance: bool
    is_cordoned: bool
    is_quarantined: bool
    quarantine_reason: str
    management_address: str
    bridge: str
    cpu_cores: float
    memory_mib: int
    disk_gib: float
    architecture: str
    cpu_model: str
    os_name: str
    kernel: str
    hypervisor: str
    engine: str
    accelerator: str
    idle_watts: float
    peak_watts: float
    rack_units: int
    workload_count: int
    has_bmc: bool
    last_seen_at: datetime | None

    @staticmethod
    def resolve_site(host: Host) -> str:
        return host.rack.site.name

    @staticmethod
    def resolve_rack(host: Host) -> str:
        return host.rack.name

    @staticmethod
    def resolve_status(host: Host) -> str:
        return host_status(host).word

    @staticmethod
    def resolve_status_sentence(host: Host) -> str:
        return host_status(host).sentence

    @staticmethod
    def resolve_is_quarantined(host: Host) -> bool:
        return host.quarantined_at is not None

    @staticmethod
    def resolve_has_bmc(host: Host) -> bool:
        return getattr(host, "bmc", None) is not None


class EnrolIn(Schema):
    name: str = Field(max_length=63)
    rack_id: int
    management_address: str = Field(max_length=45)
    bridge: str = Field("stw0", max_length=15)
    bmc_url: str = Field("", max_length=300)
    bmc_system: str = Field("", max_length=100)
    bmc_username: str = Field("", max_length=100)
    bmc_password: str = Field("", max_length=200)
    idle_watts: float = 120
    peak_watts: float = 300
    wait_s: float = Field(120, ge=1, le=3600)  # for its plane to come up


class DrillIn(Schema):
    """How long power and boot may take, each."""

    wait_s: float = Field(300, ge=1, le=3600)


class LiftIn(Schema):
    """Why the host may be counted on; needed unless it has woken since."""

    reason: str = Field("", max_length=300)


class BmcIn(Schema):
    """A BMC. Without `password` the stored one is kept, for the same address and user."""

    url: str = Field(min_length=1, max_length=300)
    system: str = Field("", max_length=100)
    username: str = Field("", max_length=100)
    password: str = Field("", max_length=200)


class RetryIn(Schema):
    """What to correct before a failed enrolment is tried again; what is left out stays as it is."""

    management_address: str | None = Field(None, max_length=45)
    bridge: str | None = Field(None, max_length=15)
    bmc_url: str | None = Field(None, max_length=300)
    bmc_system: str = Field("", max_length=100)
    bmc_username: str = Field("", max_length=100)
    bmc_password: str = Field("", max_length=200)
    wait_s: float = Field(120, ge=1, le=3600)
    new_token: bool = True


class OperationOut(Schema):
    uuid: UUID
    kind: str
    subject_kind: str
    subject_id: str
    subject_name: str
    state: str
    message: str
    progress_percent: float | None
    progress_text: str
    requested_by: str = Field(alias="requested_by_name")
    created_at: datetime
    finished_at: datetime | None


class StepOut(Schema):
    step: str
    state: str = Field(alias="word")
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    error: str


class OperationDetailOut(OperationOut):
    steps: list[StepOut]
    layers: list[dict[str, Any]] = []  # of an image that it fetches


class EnrolmentOut(Schema):
    """`token` is for the host's plane; it is shown this once, and empty when the plane keeps its own."""

    host: UUID
    token: str
    operation: UUID


class HostPatch(Schema):
    idle_watts: float | None = None
    peak_watts: float | None = None
    rack_units: int | None = Field(None, ge=1, le=60)


class RackOut(Schema):
    id: int
    name: str
    site: str

    @staticmethod
    def resolve_site(rack: Any) -> str:
        return rack.site.name


class OperationPage(Schema):
    items: list[OperationOut]
    count: int


def operation_detail(
    operation: Operation, steps: list[StepLine], layers: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The operation with its folded journal."""
    return OperationOut.from_orm(operation).dict(by_alias=True) | {
        "requested_by_name": operation.requested_by_name,
        "layers": layers or [],
        "steps": [
            {
                "step": line.step,
                "word": line.state,
                "attempts": line.attempts,
                "started_at": line.started_at,
                "ended_at": line.ended_at,
                "error": line.error,
            }
            for line in steps
        ],
    }
