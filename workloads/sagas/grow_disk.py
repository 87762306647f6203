"""Give a VM's disk more room, also while it runs. The guest's own file system is the guest's business."""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import VirtualMachine
from workloads.sagas.calls import long_call, uuid_of


def _grow(context: Context) -> EffectCall:
    parameters = context.parameters
    return long_call(
        context, "vm.disk_grow", timeout_s=300, target=parameters["target"], size_gib=parameters["size_gib"]
    )


def _record(context: Context) -> None:
    vm = VirtualMachine.objects.select_for_update().filter(pk=uuid_of(context)).first()
    if vm is None:
        return
    for disk in vm.disks:
        if disk["target"] == context.parameters["target"]:
            disk["size_gib"] = context.parameters["size_gib"]
    vm.disk_gib = sum(float(disk.get("size_gib") or 0) for disk in vm.disks)
    vm.save(update_fields=["disks", "disk_gib"])
    publish_change("workload", vm.pk, "changed")


GROW_DISK = register(
    Saga(
        "grow_disk",
        "grow a disk",
        # Not undone: a disk that a guest has seen larger is not cut off again.
        (Step("grow", effect=_grow), Step("record", control=_record)),
    )
)
