"""Fence a host that is lost: its power is cut through its BMC, and only what was read counts.

Done means: the power was read as off, again and again, and the host's plane said nothing since it was lost. In every
other case the operation fails, and whoever waits for it must start nothing elsewhere. A host that speaks again before
the cut is left alone. Source: pitfalls.md rule 6, faults.md F39.
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from hosts.errors import Refused, Rejected, error_from_data
from hosts.models import Host
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.power_calls import host_of, power_call
from hosts.states import why_no_fencing

CUT_TIMEOUT_S = 60.0


def refuse_if_heard(host: Host, lost_since: str) -> None:
    """Raises Refused when the host has spoken since; `lost_since` is its last sign of life, in ISO 8601."""
    if host.last_seen_at is not None and host.last_seen_at > datetime.fromisoformat(lost_since):
        raise Refused(f"{host.name} answers again, so it is not lost.")


def _close(context: Context) -> Output:
    host = host_of(context)
    refuse_if_heard(host, context.parameters["lost_since"])
    if reason := why_no_fencing(Host.objects.select_related("bmc").get(pk=host.pk)):
        raise Refused(reason)
    Host.objects.filter(pk=host.pk).update(is_cordoned=True, desired_power=Host.Power.OFF)
    publish_change("host", host.pk, "fencing")
    return {"was_cordoned": host.is_cordoned, "desired_power": host.desired_power}


def _open(context: Context) -> None:
    before = context.output("close")
    if before:
        Host.objects.filter(pk=context.parameters["host"]).update(
            is_cordoned=before["was_cordoned"], desired_power=before["desired_power"]
        )
        publish_change("host", context.parameters["host"], "not fenced")


def _still_silent(context: Context) -> None:
    refuse_if_heard(host_of(context), context.parameters["lost_since"])


def _cut(context: Context) -> EffectCall:
    return power_call(context, "power.off", "cut_power", timeout_s=CUT_TIMEOUT_S, force=True)


def _confirm(context: Context) -> None:
    host = host_of(context)
    for step in ("cut_power", "read_again"):
        if failure := context.output(step).get("error"):
            error = error_from_data(failure)
            raise Rejected(f"{host.name} could not be fenced: {error.message}", error.detail)
    power = context.output("read_again").get("power")
    if power != "off":
        raise Rejected(f"{host.name} could not be fenced: its BMC says {power or 'nothing'} after the power was cut.")
    refuse_if_heard(host, context.parameters["lost_since"])


def _record(context: Context) -> None:
    Host.objects.filter(pk=context.parameters["host"]).update(
        power=Host.Power.OFF, power_read_at=timezone.now(), desired_power=Host.Power.OFF
    )
    publish_change("host", context.parameters["host"], "fenced")


HOST_FENCE = register(
    Saga(
        "host_fence",
        "fence",
        (
            Step("close", control=_close, undo=_open),
            Step(
                "read_power",  # evidence only
                effect=lambda context: power_call(context, "power.read", "read_power", timeout_s=20),
                attempts=2,
                failure_is_output=True,
            ),
            Step("still_silent", control=_still_silent),
            # Not undone: a lost machine that was cut off stays so until a person wakes it.
            Step("cut_power", effect=_cut, attempts=2, failure_is_output=True),
            Step(
                "read_again",
                effect=lambda context: power_call(context, "power.read", "read_again", timeout_s=20),
                attempts=2,
                failure_is_output=True,
            ),
            Step("confirm_fence", control=_confirm),
            Step("record", control=_record, point_of_no_return=True),
        ),
    )
)
