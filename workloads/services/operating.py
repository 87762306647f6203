"""How each verb of a workload begins: the right, the state, and the operation that holds it from then on."""

from __future__ import annotations

from typing import Any

from hosts.models import Operation
from hosts.operations.start import operation_start
from hosts.services.doors import User, busy_with, refuse_if, refuse_unless
from workloads.models import VirtualMachine, Workload
from workloads.services.capacity import Need
from workloads.states import why_not


def operate(
    user: User,
    workload: Workload,
    verb: str,
    kind: str,
    idempotency_key: str | None,
    parameters: dict[str, Any] | None = None,
    **start: Any,
) -> Operation:
    """The operation of that kind on the workload; a repeated idempotency key gives the one begun before.

    Raises Forbidden, or Refused with the sentence why the verb is not possible now.
    """
    refuse_unless(user, "operate", workload)
    if idempotency_key and (known := Operation.objects.filter(idempotency_key=idempotency_key).first()):
        return known
    workload = type(workload)._default_manager.select_related("host").get(pk=workload.pk)
    refuse_if(why_not(workload, verb, busy=busy_with(workload.kind, workload.pk)))
    return operation_start(
        kind,
        user=user,
        subject=(workload.kind, str(workload.pk), workload.name),
        parameters={"workload": str(workload.pk), "host": str(workload.host_id), **(parameters or {})},
        host=workload.host,
        idempotency_key=idempotency_key,
        **start,
    )


def need_of(workload: Workload) -> Need:
    """The room that it needs on a host."""
    # CPU was promised when it was made; an adopted workload may have more vCPUs than a host has cores
    vm = VirtualMachine.objects.filter(pk=workload.pk).only("next_size").first()
    memory_mib = max(workload.memory_mib, (vm.next_size if vm else {}).get("memory_mib", 0))
    return Need(0, memory_mib, workload.disk_gib)
