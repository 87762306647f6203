"""Delete a stopped workload.

Whether its definition is gone is asked, not inferred from a call that failed; from there on the rest is seen through.
"""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused, Rejected
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.sagas.calls import kind_of, long_call, row_remove, short_call

PATIENCE_S = 300.0


def _locate(context: Context) -> EffectCall:
    return short_call(context, "vm.locate" if kind_of(context) == "vm" else "container.locate")


def _check_stopped(context: Context) -> None:
    found = context.output("locate")
    if found.get("present") and found.get("state") not in ("stopped", "crashed"):
        raise Refused(
            f"{context.operation.subject_name} is {found.get('reason') or found.get('state')} on its host."
            " Stop it before deleting it."
        )


def _remove(context: Context) -> EffectCall:
    if kind_of(context) == "vm":
        return long_call(context, "vm.undefine", timeout_s=60)
    return short_call(context, "container.remove", timeout_s=60)


def _check_gone(context: Context) -> None:
    if not context.output("ask").get("present"):
        return
    failure = context.output("remove").get("error")
    why = failure["message"] if failure else "its host still has it."
    raise Rejected(f"{context.operation.subject_name} was not deleted: {why}")


def _has_volumes(context: Context) -> bool:
    return bool(context.parameters.get("spec", {}).get("disks") or context.parameters.get("volumes"))


def _volumes(context: Context) -> EffectCall:
    if names := context.parameters.get("volumes"):  # those that another container uses stay
        return long_call(context, "container.volumes_remove", volumes=names)
    spec: dict[str, Any] = context.parameters["spec"]
    return long_call(context, "vm.volumes_remove", spec=spec)


DELETE_WORKLOAD = register(
    Saga(
        "delete_workload",
        "delete",
        (
            Step("locate", effect=_locate),  # reads only
            Step("check_stopped", control=_check_stopped),
            # Not undone: the next two steps find out whether it happened, and decide which way to go.
            Step("remove", effect=_remove, failure_is_output=True),
            Step("ask", effect=_locate, patience_s=PATIENCE_S, stuck_on_failure=True, cancel_waits=True),
            Step("check_gone", control=_check_gone, cancel_waits=True, point_of_no_return=True),
            Step("volumes", effect=_volumes, when=_has_volumes, patience_s=PATIENCE_S),
            Step("forget", control=row_remove),
        ),
    )
)
