"""Keeping what a VM is, and bringing it back."""

from __future__ import annotations

from hosts.errors import Invalid
from hosts.models import Operation
from hosts.services.doors import User, name_check, refuse_if
from workloads.models import Snapshot, VirtualMachine, Workload
from workloads.services.capacity import refuse_without_room
from workloads.services.operating import need_of, operate
from workloads.services.vms import seed_path

SNAPSHOTS_MOST = 32  # libvirt sets no end; each costs room in the disk and time at every look


def why_no_snapshot(vm: VirtualMachine) -> str | None:
    """None, or why it can never have one; what else its host may refuse, the host says."""
    if vm.has_tpm:
        return f"{vm.name} has a TPM, which no snapshot would bring back with the disks."
    if vm.firmware != VirtualMachine.Firmware.BIOS:
        return f"{vm.name} starts by UEFI, of which libvirt keeps no snapshot inside its disks."
    if seed_path(vm) is None:
        return None
    return (
        f"{vm.name} has a raw disk for its first boot, and libvirt takes a snapshot only where every disk of a VM can"
        " hold one."
    )


def snapshot_take(user: User, vm: VirtualMachine, *, name: str, idempotency_key: str | None = None) -> Operation:
    """Begins to take a snapshot inside the VM's disks, with its memory when it is on.

    Raises Invalid for a name that is taken. While the VM has snapshots it stays on its host.
    """
    name = name_check(name)
    if vm.snapshots.filter(name=name).exists():
        raise Invalid(f"{vm.name} has a snapshot {name} already. Choose another name.", field="name")
    refuse_if(why_no_snapshot(vm))
    if vm.snapshots.count() >= SNAPSHOTS_MOST:
        raise Invalid(f"{vm.name} has {SNAPSHOTS_MOST} snapshots, which is the most. Delete one first.", field="name")
    return operate(user, vm, "snapshot", "take_snapshot", idempotency_key, {"name": name})


def snapshot_revert(user: User, snapshot: Snapshot, *, idempotency_key: str | None = None) -> Operation:
    """Begins to bring its VM back; what that has become since is lost. Refused where it would be on without room."""
    vm = snapshot.vm
    is_off = vm.state in (Workload.State.STOPPED, Workload.State.CRASHED)

    def reserve(_operation: Operation) -> None:
        if snapshot.has_memory and is_off and vm.host is not None:
            refuse_without_room(vm.host, need_of(vm), besides=vm.pk)

    parameters = {"name": snapshot.name}
    return operate(user, vm, "snapshot", "revert_snapshot", idempotency_key, parameters, before_start=reserve)


def snapshot_delete(user: User, snapshot: Snapshot, *, idempotency_key: str | None = None) -> Operation:
    """Begins to delete it; those that were taken after it stay."""
    return operate(user, snapshot.vm, "snapshot", "delete_snapshot", idempotency_key, {"name": snapshot.name})
