"""Create a VM: its image, its volumes, its definition, its start. The row was made when the operation began."""

from __future__ import annotations

from typing import Any

from hosts.operations.queues import host_long
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import (
    LONG_DEADLINE_S,
    generation_of,
    host_name,
    long_call,
    record_observed,
    row_remove,
    short_call,
)


def _spec(context: Context) -> dict[str, Any]:
    return {
        **context.parameters["spec"],
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }


def _has_image(context: Context) -> bool:
    return bool(context.parameters.get("image"))


def _image(context: Context) -> EffectCall:
    image = context.parameters["image"]
    return EffectCall(host_long(host_name(context)), "image.ensure", image, timeout_s=1800, deadline_s=LONG_DEADLINE_S)


def _record(context: Context) -> None:
    record_observed(
        context, Workload.State.RUNNING, desired=Workload.Desired.RUNNING, generation=generation_of(context)
    )


CREATE_VM = register(
    Saga(
        "create_vm",
        "create VM",
        (
            Step("image", effect=_image, when=_has_image),  # the host's cache stays; others use it too
            Step(
                "volumes",
                effect=lambda context: long_call(context, "vm.volumes_ensure", timeout_s=900, spec=_spec(context)),
                undo_effect=lambda context: long_call(context, "vm.volumes_remove", spec=_spec(context)),
            ),
            Step(
                "define",
                effect=lambda context: long_call(context, "vm.define", timeout_s=60, spec=_spec(context)),
                undo_effect=lambda context: long_call(
                    context, "vm.undefine", timeout_s=60, operation=str(context.operation.pk)
                ),
            ),
            Step(
                "start",
                effect=lambda context: short_call(context, "vm.start", timeout_s=60),
                undo_effect=lambda context: short_call(context, "vm.destroy"),
            ),
            Step("record", control=_record),
        ),
        on_undone=row_remove,
    )
)
