"""Create a VM: its volumes with its image, its definition, its start. The row was made when the operation began."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import VmSeed, Workload
from workloads.sagas.calls import (
    generation_of,
    long_call,
    record_observed,
    row_remove,
    short_call,
    uuid_of,
)
from workloads.sagas.waking import WAKE


def spec_of(context: Context) -> dict[str, Any]:
    """The spec among the parameters, stamped with this operation."""
    return {
        **context.parameters["spec"],
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }


def _has_seed(context: Context) -> bool:
    return bool(context.parameters.get("seed_path"))


def _seed_write(context: Context) -> EffectCall:
    call = long_call(
        context,
        "vm.seed_write",
        timeout_s=120,
        path=context.parameters["seed_path"],
        secret=f"/plane/v1/secrets/{context.operation.pk}/seed",
    )
    return replace(call, secret={"kind": "seed", "workload": uuid_of(context)})


def _record(context: Context) -> None:
    VmSeed.objects.filter(vm=uuid_of(context)).delete()
    record_observed(
        context, Workload.State.RUNNING, desired=Workload.Desired.RUNNING, generation=generation_of(context)
    )


# The first VM of an image on a host also waits for the image; it stays in the host's cache.
VOLUMES = Step(
    "volumes",
    effect=lambda context: long_call(context, "vm.volumes_ensure", timeout_s=2700, spec=spec_of(context)),
    undo_effect=lambda context: long_call(context, "vm.volumes_remove", spec=spec_of(context)),
)
SEED = Step("seed", effect=_seed_write, when=_has_seed)
DEFINE = Step(
    "define",
    effect=lambda context: long_call(context, "vm.define", timeout_s=60, spec=spec_of(context)),
    undo_effect=lambda context: long_call(context, "vm.undefine", timeout_s=60, operation=str(context.operation.pk)),
)
START = Step(
    "start",
    effect=lambda context: short_call(context, "vm.start", timeout_s=60),
    undo_effect=lambda context: short_call(context, "vm.destroy"),
)

CREATE_VM = register(
    Saga(
        "create_vm",
        "create VM",
        (
            WAKE,
            VOLUMES,
            SEED,
            DEFINE,
            START,
            Step("record", control=_record),
        ),
        on_undone=row_remove,
    )
)
