"""Give a VM a disk or a network card, or take one away, also while it runs."""

from __future__ import annotations

from collections.abc import Callable

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import VirtualMachine
from workloads.sagas.calls import long_call, short_call, uuid_of


def _disk_call(effect: str, *, is_long: bool = False) -> Callable[[Context], EffectCall]:
    call = long_call if is_long else short_call
    return lambda context: call(context, effect, timeout_s=60, disk=context.parameters["disk"])


def _nic_call(effect: str) -> Callable[[Context], EffectCall]:
    return lambda context: short_call(context, effect, timeout_s=60, nic=context.parameters["nic"])


def _row(context: Context) -> VirtualMachine | None:
    return VirtualMachine.objects.select_for_update().filter(pk=uuid_of(context)).first()


def _save(vm: VirtualMachine) -> None:
    vm.disk_gib = sum(float(disk.get("size_gib") or 0) for disk in vm.disks)
    vm.bridges = list(dict.fromkeys(nic["bridge"] for nic in vm.nics)) or vm.bridges
    vm.save(update_fields=["disks", "disk_gib", "nics", "bridges"])
    publish_change("workload", vm.pk, "changed")


def _disk_known(context: Context) -> None:
    """It stands in the row since it was reserved, unless an observation came between."""
    vm, disk = _row(context), context.parameters["disk"]
    if vm is not None and all(known["path"] != disk["path"] for known in vm.disks):
        vm.disks.append(disk)
        _save(vm)


def _disk_forgotten(context: Context) -> None:
    vm, path = _row(context), context.parameters["disk"]["path"]
    if vm is not None:
        vm.disks = [disk for disk in vm.disks if disk["path"] != path]
        _save(vm)


def _nic_known(context: Context) -> None:
    vm, nic = _row(context), context.parameters["nic"]
    if vm is not None and all(known["mac"] != nic["mac"] for known in vm.nics):
        vm.nics = [*vm.nics, nic]
        _save(vm)


def _nic_forgotten(context: Context) -> None:
    vm, nic = _row(context), context.parameters["nic"]
    if vm is not None:
        vm.nics = [known for known in vm.nics if known["mac"] != nic["mac"]]
        _save(vm)


def _is_to_remove(context: Context) -> bool:
    return bool(context.parameters.get("remove_file"))


ADD_DISK = register(
    Saga(
        "add_disk",
        "add a disk",
        (
            Step(
                "make_disk",
                effect=_disk_call("vm.disk_make", is_long=True),
                undo_effect=_disk_call("vm.disk_unmake", is_long=True),
            ),
            Step("attach", effect=_disk_call("vm.disk_attach"), undo_effect=_disk_call("vm.disk_detach")),
            Step("record", control=_disk_known),
        ),
        on_undone=_disk_forgotten,
    )
)

DETACH_DISK = register(
    Saga(
        "detach_disk",
        "detach a disk",
        (
            # A guest that lets go too late is asked once more; what it has let go of is not forced on it again.
            Step("detach", effect=_disk_call("vm.disk_detach"), undo_effect=_disk_call("vm.disk_attach"), attempts=2),
            Step("record", control=_disk_forgotten, point_of_no_return=True),
            Step("remove_disks", effect=_disk_call("vm.disk_unmake", is_long=True), when=_is_to_remove),
        ),
    )
)

ADD_NIC = register(
    Saga(
        "add_nic",
        "add a network card",
        (
            Step("attach", effect=_nic_call("vm.nic_attach"), undo_effect=_nic_call("vm.nic_detach")),
            Step("record", control=_nic_known),
        ),
    )
)

DETACH_NIC = register(
    Saga(
        "detach_nic",
        "detach a network card",
        (
            Step("detach", effect=_nic_call("vm.nic_detach"), undo_effect=_nic_call("vm.nic_attach"), attempts=2),
            Step("record", control=_nic_forgotten),
        ),
    )
)
