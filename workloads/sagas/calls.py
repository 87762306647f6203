"""What the sagas of workloads have in common: the workload, its hosts, and calls about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from hosts.errors import Refused
from hosts.models import Host
from hosts.operations.queues import host_long, host_short
from hosts.operations.saga import Context, EffectCall
from hosts.publish import publish_change
from workloads.models import Workload

LONG_DEADLINE_S = 900.0  # the long lane may be busy with a migration before us


def uuid_of(context: Context) -> str:
    return str(context.parameters["workload"])


def workload_of(context: Context) -> Workload:
    """The workload that the operation is about; raises Refused when it was removed meanwhile."""
    workload = Workload.objects.select_related("host").filter(pk=uuid_of(context)).first()
    if workload is None:
        raise Refused("The workload is no longer known; it was removed meanwhile.")
    return workload


def kind_of(context: Context) -> str:
    return str(context.operation.subject_kind)


def host_name(context: Context, role: str = "host") -> str:
    """The name of the host that stands under that parameter ("host", "source", "target")."""
    return Host.objects.values_list("name", flat=True).get(pk=context.parameters[role])


def generation_of(context: Context) -> int:
    return context.generation(kind_of(context), uuid_of(context))


def short_call(
    context: Context, effect: str, *, role: str = "host", timeout_s: float = 30, **arguments: Any
) -> EffectCall:
    """A quick call about the workload; its uuid goes with the arguments unless a spec does."""
    return EffectCall(
        host_short(host_name(context, role)),
        effect,
        _with_uuid(context, arguments),
        subject=(kind_of(context), uuid_of(context)),
        timeout_s=timeout_s,
        deadline_s=60,
    )


def long_call(
    context: Context, effect: str, *, role: str = "host", timeout_s: float = 300, **arguments: Any
) -> EffectCall:
    """A slow call about the workload; it may wait behind other slow ones."""
    return EffectCall(
        host_long(host_name(context, role)),
        effect,
        _with_uuid(context, arguments),
        subject=(kind_of(context), uuid_of(context)),
        timeout_s=timeout_s,
        deadline_s=LONG_DEADLINE_S,
    )


def verb(
    effects: dict[str, str], *, role: str = "host", timeout_s: float = 30, **arguments: Any
) -> Callable[[Context], EffectCall]:
    """A step's effect that differs by kind: {"vm": "vm.start", "container": "container.start"}."""

    def build(context: Context) -> EffectCall:
        return short_call(context, effects[kind_of(context)], role=role, timeout_s=timeout_s, **arguments)

    return build


def record(context: Context, **changes: Any) -> None:
    """Writes the workload's row and tells the pages."""
    Workload.objects.filter(pk=uuid_of(context)).update(**changes)
    publish_change("workload", uuid_of(context), "changed")


def record_observed(context: Context, state: str, **changes: Any) -> None:
    """As `record`, for a state that a host has just confirmed; the next observation has the last word."""
    record(context, state=state, state_reason="", observed_at=timezone.now(), **changes)


def row_remove(context: Context) -> None:
    """Removes the workload's row: it was never made, or is gone."""
    Workload.objects.filter(pk=uuid_of(context)).delete()
    publish_change("workload", uuid_of(context), "removed")


def _with_uuid(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments if "spec" in arguments else {"uuid": uuid_of(context), **arguments}
