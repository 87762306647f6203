"""Keeping what a VM is, and bringing it back."""

from __future__ import annotations

from hosts.errors import Invalid, NotFound
from hosts.models import Operation
from hosts.services.doors import User, name_check
from workloads.models import Snapshot, VirtualMachine, Workload
from workloads.services.capacity import refuse_without_room
from workloads.services.operating import need_of, operate

SNAPSHOTS_MOST = 32  # libvirt sets no end; each costs room in the disk and time at every look


def snapshot_take(user: User, vm: VirtualMachine, *, name: str, idempotency_key: str | None = None) -> Operation:
    """Begins to take a snapshot inside the VM's disks, with its memory when it is on.

    Raises Invalid for a name that is taken. While the VM has snapshots it stays on its host.
    """
    name = name_check(name)
    if vm.snapshots.filter(name=name).exists():
        raise Invalid(f"{vm.name} has a snapshot {name} already. Choose another name.", field="name")
    if vm.snapshots.count() >= SNAPSHOTS_MOST:
        raise Invalid(f"{vm.name} has {SNAPSHOTS_MOST} snapshots, which is the most. Delete one first.", field="name")
    return operate(user, vm, "snapshot", "take_snapshot", idempotency_key, {"name": name})


def snapshot_revert(
    user: User, vm: VirtualMachine, *, snapshot: Snapshot, idempotency_key: str | None = None
) -> Operation:
    """Begins to bring the VM back; what it has become since is lost. Refused where it would be on without room."""
    is_off = vm.state in (Workload.State.STOPPED, Workload.State.CRASHED)

    def reserve(_operation: Operation) -> None:
        if snapshot.has_memory and is_off and vm.host is not None:
            refuse_without_room(vm.host, need_of(vm), besides=vm.pk)

    parameters = {"name": snapshot.name}
    return operate(user, vm, "snapshot", "revert_snapshot", idempotency_key, parameters, before_start=reserve)


def snapshot_delete(
    user: User, vm: VirtualMachine, *, snapshot: Snapshot, idempotency_key: str | None = None
) -> Operation:
    """Begins to delete it; those that were taken after it stay."""
    return operate(user, vm, "snapshot", "delete_snapshot", idempotency_key, {"name": snapshot.name})


def snapshot_found(vm: VirtualMachine, number: int) -> Snapshot:
    """The VM's snapshot with that number; raises NotFound."""
    snapshot = vm.snapshots.filter(pk=number).first()
    if snapshot is None:
        raise NotFound(f"{vm.name} has no such snapshot. It may have been deleted.")
    return snapshot
