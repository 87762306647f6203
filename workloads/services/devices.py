"""Disks and network cards that VMs are given or lose, also while they run."""

from __future__ import annotations

import uuid as uuids
from functools import partial
from typing import Any

from hosts.errors import Invalid, Refused
from hosts.models import Operation, PoolMount
from hosts.services.doors import User, refuse_if
from workloads.models import VirtualMachine
from workloads.services.capacity import pool_choose, refuse_without_disk_room
from workloads.services.operating import operate
from workloads.services.sizes import DISK_MOST_GIB
from workloads.services.vms import DISK_GIB_LEAST, SEED_FILE, TARGETS, bridges_known, disk_row, mac_address

NICS_MOST = 8


def disk_add(
    user: User,
    vm: VirtualMachine,
    *,
    size_gib: float,
    pool: str = "",
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to give the VM an empty disk; without the name of a `pool` in the one of its host with the most room.

    Raises Invalid for a size that no disk has, Refused without room or a free place, and for an adopted VM.
    """
    if not DISK_GIB_LEAST <= size_gib <= DISK_MOST_GIB:
        raise Invalid(f"A disk has {DISK_GIB_LEAST} to {DISK_MOST_GIB:,} GiB.", field="size_gib")
    vm = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    refuse_if(_held_by_snapshots(vm))
    known = {disk["target"] for disk in vm.disks}
    target = next((target for target in TARGETS if target not in known), None)
    if target is None:
        raise Refused(f"{vm.name} has {len(TARGETS)} disks already, which is as many as it can have.")
    if vm.host is None:
        raise Refused(f"Nobody knows on which host {vm.name} is.")
    mount = _mount(vm, pool) if pool else pool_choose(vm.host, size_gib)
    # its own name each time: a disk that was detached may still lie there
    file = f"{target}-{uuids.uuid4().hex[:8]}.qcow2"
    disk = disk_row(vm.pk, mount, target, file, "qcow2", float(size_gib))
    reserve = partial(_reserve, vm.pk, disk)
    return operate(user, vm, "devices", "add_disk", idempotency_key, {"disk": disk}, before_start=reserve)


def disk_detach(
    user: User, vm: VirtualMachine, *, target: str, remove_file: bool = False, idempotency_key: str | None = None
) -> Operation:
    """Begins to take a disk from the VM. Its file stays in the pool, unless `remove_file`: then it is gone for good.

    Raises Invalid for the disk that it boots from, and for one that it has not.
    """
    vm = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    refuse_if(_held_by_snapshots(vm))
    disk = next((disk for disk in vm.disks if disk["target"] == target), None)
    if disk is None:
        raise Invalid(f"{vm.name} has no disk {target[:20]}.", field="target")
    if disk is vm.disks[0]:
        raise Invalid(f"{target} is the disk that {vm.name} starts from; it stays.", field="target")
    is_seed = str(disk["path"]).endswith(SEED_FILE)
    if remove_file and (is_seed or str(vm.pk) not in disk["path"]):
        raise Invalid("Only a disk that was made for this VM is removed with its file.", field="remove_file")
    parameters = {"disk": disk, "remove_file": remove_file}
    return operate(user, vm, "devices", "detach_disk", idempotency_key, parameters)


def nic_add(user: User, vm: VirtualMachine, *, bridge: str, idempotency_key: str | None = None) -> Operation:
    """Begins to give the VM a network card on a bridge of its host; its address is new."""
    vm = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    bridges = bridges_of(vm)
    if bridge not in bridges:
        raise Invalid(f"Its host has no bridge of that name. It has {', '.join(bridges) or 'none'}.", field="bridge")
    if len(vm.nics) >= NICS_MOST:
        raise Refused(f"{vm.name} has {NICS_MOST} network cards already.")
    nic = {"bridge": bridge, "mac": mac_address(uuids.uuid4())}
    return operate(user, vm, "devices", "add_nic", idempotency_key, {"nic": nic})


def nic_detach(user: User, vm: VirtualMachine, *, mac: str, idempotency_key: str | None = None) -> Operation:
    """Begins to take the network card of that address from the VM."""
    vm = VirtualMachine.objects.select_related("host").get(pk=vm.pk)
    nic = next((nic for nic in vm.nics if nic["mac"] == mac.lower()), None)
    if nic is None:
        raise Invalid(f"{vm.name} has no network card of that address.", field="mac")
    return operate(user, vm, "devices", "detach_nic", idempotency_key, {"nic": nic})


def bridges_of(vm: VirtualMachine) -> list[str]:
    """Names of the bridges of its host."""
    return bridges_known(vm.host) if vm.host else []


def _held_by_snapshots(vm: VirtualMachine) -> str | None:
    """A snapshot goes back to the disks that there were: with others it could not."""
    if not vm.snapshot_count:
        return None
    return f"{vm.name} has snapshots, which hold the disks that it had then. Delete them first."


def _mount(vm: VirtualMachine, pool: str) -> PoolMount:
    mount = PoolMount.objects.filter(host=vm.host, pool__name=pool).select_related("pool").first()
    if mount is None:
        raise Invalid(f"The host of {vm.name} does not have the pool {pool[:60]}.", field="pool")
    return mount


def _reserve(pk: uuids.UUID, disk: dict[str, Any], _operation: Operation) -> None:
    """In the operation's own transaction: the room is promised once."""
    vm = VirtualMachine.objects.select_for_update().select_related("host").get(pk=pk)
    assert vm.host is not None
    refuse_without_disk_room(vm.host, disk["path"], disk["size_gib"])
    vm.disks = [*vm.disks, disk]
    vm.disk_gib += disk["size_gib"]
    vm.save(update_fields=["disks", "disk_gib"])
