"""Giving workloads another size."""

from __future__ import annotations

from hosts.errors import Invalid
from hosts.models import Operation
from hosts.services.doors import User
from workloads.models import VirtualMachine, Workload
from workloads.services.capacity import Need, refuse_impossible, refuse_without_disk_room, refuse_without_room
from workloads.services.operating import operate
from workloads.services.vms import SEED_FILE

CONTAINER_LEAST_MIB, VM_LEAST_MIB = 6, 32
DISK_MOST_GIB = 65_536


def workload_resize(
    user: User, workload: Workload, *, cpu_cores: float, memory_mib: int, idempotency_key: str | None = None
) -> Operation:
    """Begins to give it those cores and that memory: at once, or what a VM cannot have so, at its next start.

    Raises Invalid for a size that no host could hold, Refused where its own host has no room for it.
    """
    is_vm = workload.kind == Workload.Kind.VM
    least_mib = VM_LEAST_MIB if is_vm else CONTAINER_LEAST_MIB
    if memory_mib < least_mib:
        raise Invalid(f"A {workload.get_kind_display()} needs at least {least_mib} MiB of memory.", field="memory_mib")
    if cpu_cores < (1 if is_vm else 0.01) or (is_vm and cpu_cores != int(cpu_cores)):
        raise Invalid("A VM has whole virtual CPUs, a container at least 0.01 cores.", field="cpu_cores")
    refuse_impossible(Need(cpu_cores, memory_mib))
    was = {"cpu_cores": workload.cpu_cores, "memory_mib": workload.memory_mib}
    size = {"cpu_cores": int(cpu_cores) if is_vm else cpu_cores, "memory_mib": memory_mib}
    vm = VirtualMachine.objects.filter(pk=workload.pk).first() if is_vm else None
    if vm is not None:
        was = {"cpu_cores": int(workload.cpu_cores), "memory_mib": workload.memory_mib} | vm.next_size
    if size == was:
        raise Invalid(f"{workload.name} has that size already.", field="memory_mib")

    def reserve(_operation: Operation) -> None:
        # As much as it has was granted before; an adopted VM may have more virtual CPUs than its host has cores.
        more_cores = cpu_cores if is_vm and cpu_cores > workload.cpu_cores else 0
        if workload.host is not None and (memory_mib > workload.memory_mib or more_cores):
            refuse_without_room(workload.host, Need(more_cores, memory_mib), besides=workload.pk)

    parameters = {"size": size, "was": was}
    return operate(user, workload, "resize", "resize_workload", idempotency_key, parameters, before_start=reserve)


def disk_grow(
    user: User, vm: VirtualMachine, *, target: str, size_gib: float, idempotency_key: str | None = None
) -> Operation:
    """Begins to give one of the VM's disks more room, also while it runs. A disk is never made smaller."""
    disk = next((disk for disk in vm.disks if disk.get("target") == target), None)
    if disk is None or str(disk["path"]).endswith(SEED_FILE):
        raise Invalid(f"{vm.name} has no disk {target[:20]} that could grow.", field="target")
    now_gib = float(disk.get("size_gib") or 0)
    if not now_gib < size_gib <= DISK_MOST_GIB:
        raise Invalid(
            f"The disk {target} has {now_gib:g} GiB; it can only grow, to at most {DISK_MOST_GIB:,} GiB.",
            field="size_gib",
        )

    def reserve(_operation: Operation) -> None:
        assert vm.host is not None
        refuse_without_disk_room(vm.host, str(disk["path"]), size_gib - now_gib)

    parameters = {"target": target, "size_gib": size_gib}
    return operate(user, vm, "resize", "grow_disk", idempotency_key, parameters, before_start=reserve)
