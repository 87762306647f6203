"""A wake drill: an empty host is switched off and woken again, with the time taken. And the end of a quarantine.

A drill that fails before the power was off proves nothing and changes nothing. One that fails afterwards leaves the
host as it is, in quarantine: a machine that boots late is better than one that is cut off.
"""

from __future__ import annotations

from django.utils import timezone

from hosts.models import Entry, Host
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.power import (
    BOOT_WAIT_S,
    confirm_off_step,
    host_call,
    ping_step,
    power_off_step,
    read_power_step,
    refuse_when_used,
)
from hosts.sagas.power_calls import host_of, power_call
from hosts.sagas.wake_record import wake_failed, wake_passed


def _close(context: Context) -> Output:
    """Off is what is wanted now, so that nobody takes the silence for a loss."""
    host = host_of(context)
    refuse_when_used(context, host)
    Host.objects.filter(pk=host.pk).update(is_cordoned=True, desired_power=Host.Power.OFF)
    publish_change("host", host.pk, "wake drill")
    return {"was_cordoned": host.is_cordoned}


def _open(context: Context) -> None:
    was_cordoned = context.output("close").get("was_cordoned", False)
    Host.objects.filter(pk=context.parameters["host"]).update(is_cordoned=was_cordoned, desired_power=Host.Power.ON)
    publish_change("host", context.parameters["host"], "wake drill ended")


def _was_off(context: Context) -> bool:
    return context.operation.entries.filter(kind=Entry.Kind.DONE, step="note_off").exists()


def _unquiesce(context: Context) -> EffectCall | None:
    """Nobody is there to be told once the power is off; lifting the quarantine does it then."""
    return None if _was_off(context) else host_call("host.unquiesce")(context)


def _note_off(context: Context) -> None:
    Host.objects.filter(pk=context.parameters["host"]).update(power=Host.Power.OFF, power_read_at=timezone.now())
    publish_change("host", context.parameters["host"], "off for its drill")


def _power_on(context: Context) -> EffectCall:
    wait_s = float(context.parameters.get("wait_s", BOOT_WAIT_S))
    return power_call(context, "power.on", "power_on", timeout_s=min(180.0, wait_s))


def _record(context: Context) -> None:
    Host.objects.filter(pk=context.parameters["host"]).update(power=Host.Power.ON, power_read_at=timezone.now())
    _open(context)
    wake_passed(context, host_of(context))


def _judge(context: Context) -> None:
    if _was_off(context):
        wake_failed(context, host_of(context))


HOST_WAKE_DRILL = register(
    Saga(
        "host_wake_drill",
        "wake drill",
        (
            Step("close", control=_close, undo=_open),
            Step("quiesce", effect=host_call("host.quiesce"), undo_effect=_unquiesce),
            Step("assert_empty", effect=host_call("host.assert_empty"), attempts=2),  # reads only
            # as in host_power_off: the reading decides what the call has done
            Step("power_off", effect=power_off_step, attempts=2, failure_is_output=True),
            Step("read_power", effect=read_power_step, patience_s=120, stuck_on_failure=True, cancel_waits=True),
            Step("confirm_off", control=confirm_off_step, patience_s=180, cancel_waits=True),
            Step("note_off", control=_note_off, cancel_waits=True),  # not undone: it is off
            # from here on a wish to cancel waits: nobody wants a host left dark halfway
            Step("power_on", effect=_power_on, attempts=2, cancel_waits=True),
            Step("ping", effect=ping_step, attempts=1, patience_s=BOOT_WAIT_S, cancel_waits=True),
            Step("unquiesce", effect=host_call("host.unquiesce"), cancel_waits=True),
            Step("record", control=_record, cancel_waits=True),
        ),
        on_undone=_judge,
    )
)


def _is_on(context: Context) -> bool:
    return host_of(context).power != Host.Power.OFF


def _lift(context: Context) -> None:
    Host.objects.filter(pk=context.parameters["host"]).update(quarantined_at=None, quarantine_reason="")
    publish_change("host", context.parameters["host"], "quarantine lifted")


HOST_QUARANTINE_LIFT = register(
    Saga(
        "host_quarantine_lift",
        "lift quarantine",
        (
            # a host that came up too late for its drill still refuses work; one that is off is told when it is woken
            Step("unquiesce", effect=host_call("host.unquiesce"), when=_is_on),
            Step("lift", control=_lift),
        ),
    )
)
