"""Save a VM: its memory goes to its host's disk and it takes no CPU and memory until it is started, as it was."""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import long_call, record_observed, short_call
from workloads.sagas.start_stop import want_as_before, want_stopped


def _save(context: Context) -> EffectCall:
    return long_call(context, "vm.save", timeout_s=900)


def _restore(context: Context) -> EffectCall:
    return short_call(context, "vm.start", timeout_s=120)


def _record_stopped(context: Context) -> None:
    record_observed(context, Workload.State.STOPPED)


SAVE_VM = register(
    Saga(
        "save_vm",
        "save to disk",
        (
            Step("want", control=want_stopped, undo=want_as_before),
            Step("save", effect=_save, undo_effect=_restore),
            Step("record", control=_record_stopped),
        ),
    )
)
