"""Pause a workload where it is, and let it go on: its memory stays, its CPUs stand still."""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import generation_of, kind_of, record_observed, short_call, verb

_pause = verb({"vm": "vm.pause", "container": "container.pause"})


def _go_on(context: Context) -> EffectCall:
    """A VM's newer owner may have paused it: the generation tells the host whether this order still counts."""
    if kind_of(context) == "vm":
        return short_call(context, "vm.resume", generation=generation_of(context))
    return short_call(context, "container.unpause")


def _record_paused(context: Context) -> None:
    record_observed(context, Workload.State.PAUSED)


def _record_running(context: Context) -> None:
    record_observed(context, Workload.State.RUNNING)


PAUSE_WORKLOAD = register(
    Saga(
        "pause_workload",
        "pause",
        (Step("pause", effect=_pause, undo_effect=_go_on), Step("record", control=_record_paused)),
    )
)

RESUME_WORKLOAD = register(
    Saga(
        "resume_workload",
        "resume",
        (Step("go_on", effect=_go_on, undo_effect=_pause), Step("record", control=_record_running)),
    )
)
