"""Create a VM: its volumes with its image, its definition, its start. The row was made when the operation began."""

from __future__ import annotations

from typing import Any

from hosts.operations.registry import register
from hosts.operations.saga import Context, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import (
    generation_of,
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


def _record(context: Context) -> None:
    record_observed(
        context, Workload.State.RUNNING, desired=Workload.Desired.RUNNING, generation=generation_of(context)
    )


CREATE_VM = register(
    Saga(
        "create_vm",
        "create VM",
        (
            # The first VM of an image on a host also waits for the image; it stays in the host's cache.
            Step(
                "volumes",
                effect=lambda context: long_call(context, "vm.volumes_ensure", timeout_s=2700, spec=_spec(context)),
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
