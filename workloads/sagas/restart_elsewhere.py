"""Start a VM of a lost host on another one that reaches its disks, and remove the old definition later.

Both hosts are named in the parameters. The old host must be fenced, or declared dead by a person, and silent since it
was lost: asked when the operation begins, and again in the transaction that hands the VM over, before its start.
"""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused
from hosts.models import Host
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.fence_host import refuse_if_heard
from workloads.models import Sighting, VirtualMachine, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, short_call, uuid_of, workload_of

PATIENCE_S = 120.0


def vm_spec(vm: VirtualMachine) -> dict[str, Any]:
    """The definition of a VM that Stowage made, from its row: its disks are as they were last seen."""
    keys = ("target", "path", "format", "size_gib", "pool")
    size = vm.next_size or {}
    return {
        "uuid": str(vm.pk),
        "name": vm.name,
        "vcpus": int(size.get("cpu_cores") or vm.cpu_cores),
        "memory_mib": int(size.get("memory_mib") or vm.memory_mib),
        "disks": [{key: disk.get(key) for key in keys} for disk in vm.disks],
        "nics": vm.nics,
        **hardware_of(vm),
        "labels": {"anti-affinity": vm.anti_affinity_group} if vm.anti_affinity_group else {},
    }


def hardware_of(vm: VirtualMachine) -> dict[str, Any]:
    """Of a VM's spec what is neither its size nor its disks and networks; the CD-ROM drive is empty."""
    said = {"firmware": vm.firmware, "machine": vm.machine, "cpu_model": vm.cpu_model or None}
    return {**said, "has_cdrom": vm.has_cdrom, "has_tpm": vm.has_tpm}


def refuse_unless_fenced(context: Context) -> None:
    """Raises Refused unless the old host is off, or declared dead, and said nothing since it was lost."""
    source = Host.objects.get(pk=context.parameters["source"])
    refuse_if_heard(source, context.parameters["lost_since"])
    if source.power != Host.Power.OFF and not context.parameters.get("declared_dead"):
        raise Refused(f"{source.name} is not known to be off, so nothing of it is started elsewhere.")


def _define(context: Context) -> EffectCall:
    spec = {
        **context.parameters["spec"],
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }
    return long_call(context, "vm.define", role="target", timeout_s=60, spec=spec)


def _undefine(context: Context) -> EffectCall:
    return long_call(context, "vm.undefine", role="target", timeout_s=60, operation=str(context.operation.pk))


def _swap_owner(context: Context) -> None:
    refuse_unless_fenced(context)
    workload = workload_of(context)
    swapped = Workload.objects.filter(pk=workload.pk, host=context.parameters["source"]).update(
        host=context.parameters["target"], generation=generation_of(context)
    )
    if not swapped:
        raise Refused(f"{workload.name} is no longer owned by the host that was lost.")
    Sighting.objects.filter(workload=workload, host=context.parameters["source"]).delete()
    publish_change("workload", workload.pk, "moved")


def _swap_back(context: Context) -> None:
    Workload.objects.filter(pk=uuid_of(context), host=context.parameters["target"]).update(
        host=context.parameters["source"]
    )
    publish_change("workload", uuid_of(context), "not moved")


def _record(context: Context) -> None:
    record_observed(context, Workload.State.RUNNING)


RESTART_ELSEWHERE = register(
    Saga(
        "restart_elsewhere",
        "restart on another host",
        (
            Step("check_fenced", control=refuse_unless_fenced),
            Step("define", effect=_define, undo_effect=_undefine),
            Step("swap_owner", control=_swap_owner, undo=_swap_back),
            Step(
                "start",
                effect=lambda context: short_call(context, "vm.start", role="target", timeout_s=60),
                undo_effect=lambda context: short_call(context, "vm.destroy", role="target"),
            ),
            Step("record", control=_record),
        ),
    )
)


def _check_stale(context: Context) -> None:
    workload = workload_of(context)
    if str(workload.host_id) == context.parameters["source"]:
        raise Refused(f"{workload.name} belongs to this host, so its definition is not stale.")
    found = context.output("locate")
    if found.get("present") and found.get("state") not in ("stopped", "crashed"):
        raise Refused(
            f"{workload.name} is {found.get('state')} on a host that it was moved away from. Decide which copy counts."
        )


def _is_there(context: Context) -> bool:
    return bool(context.output("locate").get("present"))


def _forget(context: Context) -> None:
    Sighting.objects.filter(workload=uuid_of(context), host=context.parameters["source"]).delete()
    publish_change("workload", uuid_of(context), "stale copy removed")


REMOVE_STALE = register(
    Saga(
        "remove_stale",
        "remove the stale definition",
        (
            Step("locate", effect=lambda context: short_call(context, "vm.locate", role="source")),  # reads only
            Step("check_stale", control=_check_stale),
            # Not undone: the VM is defined where it belongs. A copy that runs by then is refused by its host.
            Step(
                "remove",
                effect=lambda context: long_call(context, "vm.undefine", role="source", timeout_s=60),
                when=_is_there,
                patience_s=PATIENCE_S,
                stuck_on_failure=True,
                cancel_waits=True,
                point_of_no_return=True,
            ),
            Step("forget_stale", control=_forget),
        ),
    )
)
