"""Moving, pinning and deleting workloads."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from hosts.audit import audit_write
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_if, refuse_unless
from workloads.drivers.volume_spec import names_of, volumes_known
from workloads.models import Container, VirtualMachine, Workload
from workloads.services.abilities import abilities_of_vm, refuse_unable
from workloads.services.apart import refuse_mate
from workloads.services.capacity import refuse_without_room
from workloads.services.containers import refuse_taken_ports, refuse_taken_volumes
from workloads.services.operating import need_of, operate
from workloads.states import why_not


def workload_delete(
    user: User, workload: Workload, *, with_volumes: bool = False, idempotency_key: str | None = None
) -> Operation:
    """Begins to delete a stopped workload. Disks that Stowage made go with it; those of an adopted VM stay.

    A container's named volumes stay on its host, unless `with_volumes`; then too those that another one uses.
    """
    parameters: dict[str, Any] = {"spec": _disks_to_delete(workload)}
    container = Container.objects.filter(pk=workload.pk).first() if with_volumes else None
    if container is not None and (names := names_of(volumes_known(container.volumes))):
        parameters["volumes"] = names
    return operate(user, workload, "delete", "delete_workload", idempotency_key, parameters)


def workload_move(
    user: User,
    workload: Workload,
    *,
    target: Host,
    bandwidth_mib_s: int | None = None,
    auto_converge: bool | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """Begins to move a running workload: a VM live, a container by starting it anew on the target.

    `bandwidth_mib_s` is the most that a VM's memory and disks may take of the network, in MiB/s; None leaves it free.
    Without `auto_converge`, which is the rule, a VM's CPUs are not slowed down where it writes faster than is sent.
    """
    workload = Workload.objects.select_related("host__rack").get(pk=workload.pk)
    if workload.host_id == target.pk:
        raise Invalid(f"{workload.name} is on {target.name} already. Choose another host.", field="target")
    if workload.host and workload.host.rack.site_id != target.rack.site_id:
        raise Invalid(f"{target.name} stands at another site. Choose a host of this one.", field="target")
    kind = "migrate_vm" if workload.kind == Workload.Kind.VM else "relocate_container"
    parameters: dict[str, Any] = {"source": str(workload.host_id), "target": str(target.pk)}
    if bandwidth_mib_s is not None:
        if workload.kind != Workload.Kind.VM:
            raise Invalid(f"{workload.name} is a container: only a VM's move can be slowed.", field="bandwidth_mib_s")
        parameters["bandwidth_mib_s"] = bandwidth_mib_s
    if auto_converge is not None:
        if workload.kind != Workload.Kind.VM:
            raise Invalid(f"{workload.name} is a container: only a VM can be slowed down.", field="auto_converge")
        parameters["auto_converge"] = auto_converge
    return operate(
        user,
        workload,
        "move",
        kind,
        idempotency_key,
        parameters,
        target_host=target,
        before_start=partial(_target_check, workload, target),
    )


@transaction.atomic
def workload_pin(user: User, workload: Workload, *, on: bool, reason: str = "") -> Workload:
    """Pins a workload to its host, or frees it: the planner moves no pinned one."""
    refuse_unless(user, "operate", workload)
    refuse_if(why_not(workload, "pin" if on else "unpin"))
    workload.is_pinned, workload.pin_reason = on, reason[:200] if on else ""
    workload.save(update_fields=["is_pinned", "pin_reason"])
    verb = "workload_pin" if on else "workload_unpin"
    audit_write(user, verb, workload.kind, workload.pk, workload.name, reason=reason[:200])
    publish_change("workload", workload.pk, "pinned")
    return workload


def gone(name: str) -> Refused:
    """The refusal for a workload that was removed since somebody planned with it."""
    return Refused(f"{name} was removed meanwhile. Plan again.")


def moved_meanwhile(workload: Workload, source: Host | None) -> Refused:
    """The refusal for a workload that is no longer where it was planned from."""
    where = workload.host.name if workload.host else "an unknown host"
    was = source.name if source else "a host that was removed"
    return Refused(f"{workload.name} is on {where} now, no longer on {was}. Plan again.")


def _target_check(workload: Workload, target: Host, _operation: Operation) -> None:
    """In the operation's own transaction, so that the operation's target reserves the room that was seen."""
    refuse_unable(target, abilities_of_vm(workload))
    refuse_without_room(target, need_of(workload), besides=workload.pk)
    refuse_mate(target, workload.anti_affinity_group, besides=workload.pk)
    taken = Workload.objects.filter(host=target, name=workload.name, kind=workload.kind).exclude(pk=workload.pk)
    if taken.exists():
        raise Refused(f"{target.name} already has a {workload.get_kind_display()} named {workload.name}.")
    if container := Container.objects.filter(pk=workload.pk).first():
        refuse_taken_ports(container, target)
        refuse_taken_volumes(container, target)


def _disks_to_delete(workload: Workload) -> dict[str, Any]:
    vm = VirtualMachine.objects.filter(pk=workload.pk).first()
    if vm is None or vm.is_adopted:
        return {}
    keys = ("target", "path", "format", "size_gib", "pool")
    return {
        "uuid": str(vm.pk),
        "disks": [{key: disk.get(key) for key in keys} for disk in vm.disks if str(vm.pk) in disk["path"]],
    }
