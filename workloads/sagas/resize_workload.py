"""Give a workload other limits: a container at once, a VM that runs as far as it has room, else at its next start."""

from __future__ import annotations

from typing import Any

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import VirtualMachine
from workloads.sagas.calls import kind_of, record, short_call, uuid_of


def _resize_to(size: dict[str, Any], context: Context) -> EffectCall:
    return short_call(context, f"{kind_of(context)}.resize", timeout_s=60, **size)


def _resize(context: Context) -> EffectCall:
    return _resize_to(context.parameters["size"], context)


def _resize_back(context: Context) -> EffectCall:
    return _resize_to(context.parameters["was"], context)


def _record(context: Context) -> None:
    size = context.parameters["size"]
    if kind_of(context) == "vm":
        found = context.output("resize")
        size = {"cpu_cores": found["cpu_cores"], "memory_mib": found["memory_mib"]}
        waits = size != context.parameters["size"]
        why = " ".join(found[part] for part in ("cpu_why", "memory_why") if found[part])
        changes = {"next_size": context.parameters["size"] if waits else {}, "next_size_why": why[:300]}
        VirtualMachine.objects.filter(pk=uuid_of(context)).update(**changes)
        publish_change("workload", uuid_of(context), "resized")
    record(context, **size)


RESIZE_WORKLOAD = register(
    Saga(
        "resize_workload",
        "resize",
        (Step("resize", effect=_resize, undo_effect=_resize_back), Step("record", control=_record)),
    )
)
