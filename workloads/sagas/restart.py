"""Restart a workload: down and up again, so that what was changed for the next start counts; or reset a VM's CPUs."""

from __future__ import annotations

from hosts.errors import Refused
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Workload
from workloads.sagas.calls import record_observed, short_call, verb, workload_of
from workloads.sagas.start_stop import stop_as_asked, want_as_before, want_running

_start = verb({"vm": "vm.start", "container": "container.start"}, timeout_s=60)


def _refuse_transient(context: Context) -> None:
    """Raises Refused for a VM that its hypervisor forgets once it stops: nobody could start it again."""
    if not context.output("locate").get("persistent"):
        name = workload_of(context).name
        raise Refused(f"{name} is not defined on its host, only running there: it would be gone once it stops.")


def _reset(context: Context) -> EffectCall:
    return short_call(context, "vm.reset")


def _record_running(context: Context) -> None:
    record_observed(context, Workload.State.RUNNING)


RESTART_WORKLOAD = register(
    Saga(
        "restart_workload",
        "restart",
        (
            Step("locate", effect=verb({"vm": "vm.locate", "container": "container.locate"})),
            Step("check_kept", control=_refuse_transient),
            # Wanted from here on, so that its memory stays its own while it is down.
            Step("want", control=want_running, undo=want_as_before),
            Step("stop", effect=stop_as_asked, undo_effect=_start, attempts=2),
            Step("start", effect=_start),
            Step("record", control=_record_running),
        ),
    )
)

RESET_VM = register(
    Saga(
        "reset_vm",
        "reset",
        # Not undone, for nothing is left of before. A second reset finds a guest that has hardly begun to boot.
        (Step("reset", effect=_reset), Step("record", control=_record_running)),
    )
)
