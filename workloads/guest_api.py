"""What VMs' guests say of themselves, over HTTP."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from hosts.api import VIEW
from workloads.api import vm_found
from workloads.guests import Guest, guest_of

of_vms = Router(tags=["workloads"])


class FileSystemOut(Schema):
    mount: str
    type: str
    total_bytes: int
    used_bytes: int


class InterfaceOut(Schema):
    name: str
    mac: str
    addresses: list[str]  # with their prefix


class GuestOut(Schema):
    """What the guest's agent said; all of it is the guest's word. `agent` tells whether it can be asked."""

    agent: str
    sentence: str
    hostname: str
    system: str
    kernel: str
    addresses: list[str]  # by which others may reach it
    interfaces: list[InterfaceOut]
    filesystems: list[FileSystemOut]
    told_at: datetime | None


@of_vms.get("/{uuid:uuid}/guest", response=GuestOut, auth=VIEW)
def guest_one(request: HttpRequest, uuid: UUID) -> Guest:
    return guest_of(vm_found(uuid))
