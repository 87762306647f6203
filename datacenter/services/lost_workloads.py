"""Which workloads of a lost host can be started elsewhere, and in which order."""

from __future__ import annotations

from hosts.models import Host, PoolMount
from workloads.models import VirtualMachine, Workload


def priority_of(workload: Workload) -> int:
    """The number in its label "priority"; 0 without one. Higher is started first."""
    text = str(workload.labels.get("priority", ""))
    return int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) < 7 else 0


def why_not_elsewhere(workload: Workload, lost: Host) -> str:
    """Empty, or the sentence why the workload cannot be started on another host."""
    if workload.kind != Workload.Kind.VM:
        return (
            f"The engine of {lost.name} starts {workload.name} again by itself when the host returns; a second one "
            "elsewhere would then run beside it."
        )
    vm = VirtualMachine.objects.get(pk=workload.pk)
    if vm.is_pinned:
        return f"{vm.name} is pinned to {lost.name}: {vm.pin_reason.rstrip('.') or 'no reason given'}."
    if vm.is_adopted or not vm.nics:
        return f"{vm.name} was not made by Stowage, and its full definition is known on {lost.name} alone."
    if vm.snapshot_count:
        return f"The snapshots of {vm.name} are known on {lost.name} alone. Bring the host back to keep them."
    for disk in vm.disks:
        if not _is_shared(disk.get("shared_pool_id"), str(disk.get("path")), lost):
            return f"The disk {disk.get('target')} of {vm.name} lies on {lost.name} alone, so it is lost with the host."
    return ""


def _is_shared(pool_id: object, path: str, lost: Host) -> bool:
    """Whether another host reads the same pool, by its marker, under the same folder."""
    folder = path.rpartition("/")[0]
    mounts = PoolMount.objects.filter(pool__pool_id=str(pool_id), path=folder)
    return bool(pool_id) and mounts.exclude(host=lost).exists()
