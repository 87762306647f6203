"""Start and stop a workload of either kind."""

from __future__ import annotations

from dataclasses import replace

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import kind_of, record, record_observed, short_call, verb, workload_of

STOP_TIMEOUT_S = 60.0


def _want(context: Context, desired: str) -> Output:
    workload = workload_of(context)
    record(context, desired=desired)
    return {"desired": workload.desired}


def want_running(context: Context) -> Output:
    return _want(context, Workload.Desired.RUNNING)


def want_stopped(context: Context) -> Output:
    return _want(context, Workload.Desired.STOPPED)


def want_as_before(context: Context) -> None:
    record(context, desired=context.output("want").get("desired", Workload.Desired.ANY))


def _undo_start(context: Context) -> EffectCall:
    """It was not running before, so off is what it was."""
    if kind_of(context) == "vm":
        return short_call(context, "vm.destroy")
    return stop_call(context, force=True, timeout_s=5)


def stop_call(context: Context, *, force: bool, timeout_s: float, role: str = "host") -> EffectCall:
    """A stop that gives the guest `timeout_s` to end by itself; the effect may take a little longer."""
    call = short_call(
        context, "vm.stop" if kind_of(context) == "vm" else "container.stop", role=role, timeout_s=timeout_s + 30
    )
    arguments = call.arguments | {"timeout_s": timeout_s}
    if kind_of(context) == "vm":
        arguments["force"] = force
    return replace(call, arguments=arguments)


def stop_as_asked(context: Context) -> EffectCall:
    parameters = context.parameters
    if parameters.get("force") and kind_of(context) == "container":
        return short_call(context, "container.kill")
    return stop_call(
        context,
        force=bool(parameters.get("force")),
        timeout_s=float(parameters.get("timeout_s", STOP_TIMEOUT_S)),
    )


def _record_running(context: Context) -> None:
    record_observed(context, Workload.State.RUNNING)


def _record_stopped(context: Context) -> None:
    record_observed(context, Workload.State.STOPPED)


START_WORKLOAD = register(
    Saga(
        "start_workload",
        "start",
        (
            Step("want", control=want_running, undo=want_as_before),
            Step(
                "start",
                effect=verb({"vm": "vm.start", "container": "container.start"}, timeout_s=60),
                undo_effect=_undo_start,
            ),
            Step("record", control=_record_running),
        ),
    )
)

STOP_WORKLOAD = register(
    Saga(
        "stop_workload",
        "stop",
        (
            Step("want", control=want_stopped, undo=want_as_before),
            # Not undone: a guest that went down on request is not booted again behind the operator's back.
            # Tried again after a lost answer, for "ensure stopped" is harmless; a guest that ignores it fails it.
            Step("stop", effect=stop_as_asked, attempts=2),
            Step("record", control=_record_stopped),
        ),
    )
)
