"""Make a workload, wait until it serves, measure it, and remove it again: what either kind costs, in figures."""

from __future__ import annotations

from dataclasses import replace

from hosts.models import Operation
from hosts.operations.registry import register
from hosts.operations.saga import Again, Context, EffectCall, Saga, Step
from workloads.models import Measurement
from workloads.sagas.calls import kind_of, long_call, row_remove, short_call
from workloads.sagas.create_container import CREATE, volume_names
from workloads.sagas.create_vm import DEFINE, VOLUMES, spec_of

SERVES_WITHIN_S = 600.0
TURN_WITHIN_S = 3600.0
UNDER_WAY = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING)


def _wait_turn(context: Context) -> None:
    """Two that are measured at once would measure each other."""
    first = Operation.objects.filter(pk=context.parameters["after"], state__in=UNDER_WAY).first()
    if first is not None:
        raise Again("wait_turn", f"It waits until {first.subject_name} is measured.", after_s=3.0)


def _measure(context: Context) -> EffectCall:
    effect = {"vm": "vm.measure", "container": "container.measure"}[kind_of(context)]
    call = long_call(context, effect, timeout_s=SERVES_WITHIN_S + 60, sign=context.parameters["sign"])
    return replace(call, arguments=call.arguments | {"wait_s": SERVES_WITHIN_S})


def _off(context: Context) -> EffectCall:
    return short_call(context, {"vm": "vm.destroy", "container": "container.kill"}[kind_of(context)])


def _remove_container(context: Context) -> EffectCall:
    volumes = volume_names(context.parameters["spec"])
    return short_call(context, "container.remove", operation=str(context.operation.pk), volumes=volumes)


def _record(context: Context) -> None:
    parameters, found = context.parameters, context.output("measure")
    Measurement.objects.create(
        host_id=parameters["host"],
        kind=kind_of(context),
        image_name=parameters["image_name"],
        sign=found.get("sign") or f"“{parameters['sign']}” on its serial line",
        start_s=found["start_s"],
        promised_mib=parameters["spec"]["memory_mib"],
        used_mib=found["used_mib"],
        disk_mib=found["disk_mib"],
    )
    row_remove(context)


TURN = Step(
    "wait_turn",
    control=_wait_turn,
    when=lambda context: bool(context.parameters.get("after")),
    patience_s=TURN_WITHIN_S,
)
# One try: a second start would be that of a workload that ran before.
MEASURE = Step("measure", effect=_measure, undo_effect=_off, attempts=1)
OFF = Step("off", effect=_off)

MEASURE_VM = register(
    Saga(
        "measure_vm",
        "measure a VM",
        (
            TURN,
            VOLUMES,
            DEFINE,
            MEASURE,
            OFF,
            Step("undefine", effect=DEFINE.undo_effect),
            Step("remove_disks", effect=lambda context: long_call(context, "vm.volumes_remove", spec=spec_of(context))),
            Step("record", control=_record),
        ),
        on_undone=row_remove,
    )
)

MEASURE_CONTAINER = register(
    Saga(
        "measure_container",
        "measure a container",
        (TURN, CREATE, MEASURE, OFF, Step("take_away", effect=_remove_container), Step("record", control=_record)),
        on_undone=row_remove,
    )
)
