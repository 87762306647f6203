"""Make a VM from another one that is off: copies of its disks, then as any other VM."""

from __future__ import annotations

from typing import Any

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import VmSeed, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, row_remove
from workloads.sagas.create_vm import DEFINE, SEED, START, spec_of


def _copy(context: Context) -> EffectCall:
    parameters = context.parameters
    copies = {"source": parameters["source_vm"], "copies": parameters["copies"]}
    return long_call(context, "vm.disks_copy", timeout_s=3600, spec=spec_of(context), **copies)


def _is_to_start(context: Context) -> bool:
    return bool(context.parameters.get("start"))


def _record(context: Context) -> None:
    VmSeed.objects.filter(vm=context.parameters["workload"]).delete()
    running, stopped = Workload.State.RUNNING, Workload.State.STOPPED
    state: Any = running if _is_to_start(context) else stopped
    record_observed(context, state, generation=generation_of(context))


CLONE_VM = register(
    Saga(
        "clone_vm",
        "clone VM",
        (
            Step(
                "copy_disks",
                effect=_copy,
                undo_effect=lambda context: long_call(context, "vm.volumes_remove", spec=spec_of(context)),
            ),
            SEED,
            DEFINE,
            Step("start", effect=START.effect, undo_effect=START.undo_effect, when=_is_to_start),
            Step("record", control=_record),
        ),
        on_undone=row_remove,
    )
)
