"""The VMs of a lost host: started on others once it is fenced, their old definitions removed when it is back."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from django.utils import timezone

from datacenter.admission import fullness, why_not_admitted
from datacenter.models import RecoveredWorkload, Recovery
from datacenter.services.lost_workloads import why_not_elsewhere
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts.errors import Refused
from hosts.models import Host, Operation
from hosts.operations.start import operation_start
from hosts.states import is_silent
from workloads.models import Sighting, VirtualMachine, Workload
from workloads.sagas.restart_elsewhere import vm_spec
from workloads.services.capacity import Need, refuse_without_room

STALE_AGAIN_AFTER = timedelta(minutes=5)


def restart_begin(recovery: Recovery, row: RecoveredWorkload) -> Operation:
    """The operation that starts the VM elsewhere; raises Refused with the reason. Call it in a transaction."""
    vm = VirtualMachine.objects.filter(host=recovery.host_id, pk=row.workload_id).first() if row.workload_id else None
    if vm is None:
        raise Refused(f"{row.name} is no longer on {recovery.host.name}.")
    if reason := why_not_elsewhere(vm, recovery.host):
        raise Refused(reason)
    target = _target_for(vm, recovery.host)
    need = Need(0, vm.memory_mib, 0.0)
    return operation_start(
        "restart_elsewhere",
        user=None,
        subject=("vm", str(vm.pk), vm.name),
        parameters={
            "workload": str(vm.pk),
            "source": str(recovery.host_id),
            "target": str(target.pk),
            "lost_since": recovery.lost_since.isoformat(),
            "declared_dead": bool(recovery.declared_dead_by),
            "spec": vm_spec(vm),
        },
        host=recovery.host,
        target_host=target,
        idempotency_key=f"recovery-{row.pk}",
        before_start=lambda _operation: refuse_without_room(target, need, besides=vm.pk),
    )


def _target_for(vm: VirtualMachine, lost: Host) -> Host:
    """The fullest host of the site that takes the VM within policy and rules; raises Refused when none does."""
    world, policy = data_center_read(lost.rack.site, timezone.now()), planner_policy(policy_of(lost.rack.site))
    workload = next((row for row in world.workloads if row.id == str(vm.pk)), None)
    if workload is None:
        raise Refused(f"{vm.name} is not known to be on {lost.name} any more.")
    reasons, fits = [], []
    for host in world.hosts:
        if host.id == str(lost.pk):
            continue
        if reason := why_not_admitted(world, policy, workload, host):
            reasons.append(reason)
        else:
            fits.append((fullness(world, policy, host), host.id))
    if not fits:
        raise Refused(f"No host can take {vm.name} now. {' '.join(reasons[:10])}")
    return Host.objects.get(pk=max(fits)[1])


def stale_remove(now: datetime) -> None:
    """Removes old definitions of VMs that were restarted elsewhere from hosts that answer again."""
    rows = RecoveredWorkload.objects.filter(
        state=RecoveredWorkload.State.DONE,
        workload__kind=Workload.Kind.VM,
        recovery__created_at__gt=now - timedelta(days=30),
    ).select_related("workload", "recovery__host")
    for row in rows:
        host, workload = row.recovery.host, row.workload
        assert workload is not None
        seen = Sighting.objects.filter(workload=workload, host=host)
        if is_silent(host, now) or workload.host_id == host.pk or not seen.exists():
            continue
        known = Operation.objects.filter(kind="remove_stale", subject_id=str(workload.pk))
        if known.filter(created_at__gt=now - STALE_AGAIN_AFTER).exists():
            continue
        with contextlib.suppress(Refused):  # an operation holds it: the next round
            operation_start(
                "remove_stale",
                user=None,
                subject=("vm", str(workload.pk), workload.name),
                parameters={"workload": str(workload.pk), "source": str(host.pk)},
                host=host,
                idempotency_key=f"stale-{row.pk}-{known.count()}",
            )
