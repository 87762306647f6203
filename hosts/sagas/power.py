"""Power a host off, once it is proven empty, and on again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from hosts.errors import Refused, Rejected, error_from_data
from hosts.models import Host, Operation
from hosts.operations.queues import host_short, site_queue
from hosts.operations.registry import register
from hosts.operations.saga import Again, Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.power_calls import host_of, power_call
from hosts.sagas.wake_record import wake_failed, wake_passed
from hosts.states import is_woken_by_lan

BOOT_WAIT_S = 300.0
SILENCE = timedelta(seconds=12)  # more than two beats of a host plane
ACTIVE = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


def host_call(effect: str, timeout_s: float = 20, deadline_s: float = 30) -> Callable[[Context], EffectCall]:
    def build(context: Context) -> EffectCall:
        host = host_of(context)
        return EffectCall(
            host_short(host.name),
            effect,
            subject=("host", str(host.pk)),
            timeout_s=timeout_s,
            deadline_s=deadline_s,
        )

    return build


def refuse_when_used(context: Context, host: Host) -> None:
    """Raises Refused while another operation needs the host."""
    others = Operation.objects.filter(state__in=ACTIVE).exclude(pk=context.operation.pk)
    busy = (others.filter(host=host) | others.filter(target_host=host)).first()
    if busy is not None:
        raise Refused(
            f"{host.name} is in use by “{busy.kind.replace('_', ' ')}” of {busy.subject_name}. Wait for its end."
        )


def _cordon(context: Context) -> Output:
    host = host_of(context)
    refuse_when_used(context, host)
    Host.objects.filter(pk=host.pk).update(is_cordoned=True, desired_power=Host.Power.OFF)
    publish_change("host", host.pk, "powering off")
    return {"was_cordoned": host.is_cordoned}


def _uncordon(context: Context) -> None:
    was_cordoned = context.output("cordon").get("was_cordoned", False)
    Host.objects.filter(pk=context.parameters["host"]).update(is_cordoned=was_cordoned, desired_power=Host.Power.ON)
    publish_change("host", context.parameters["host"], "stays on")


def _is_woken_by_lan(context: Context) -> bool:
    return is_woken_by_lan(Host.objects.select_related("bmc").get(pk=context.parameters["host"]))


def power_off_step(context: Context) -> EffectCall:
    """By its BMC; where nothing can cut its power, its own plane ends its operating system."""
    if _is_woken_by_lan(context):
        return host_call("host.shut_down")(context)
    force = bool(context.parameters.get("force", False))
    return power_call(context, "power.off", "power_off", force=force)


def read_power_step(context: Context) -> EffectCall:
    """Where the power cannot be read, whether its address is silent. What was proven empty may be taken for off so."""
    if _is_woken_by_lan(context):
        host = host_of(context)
        arguments = {"address": host.management_address}
        queue = site_queue(host.rack.site.name)
        return EffectCall(
            queue, "power.silence", arguments, subject=("host", str(host.pk)), timeout_s=30, deadline_s=30
        )
    return power_call(context, "power.read", "read_power", timeout_s=60)


def confirm_off_step(context: Context) -> None:
    power = context.output("read_power").get("power")
    if power == "off" and not (_is_woken_by_lan(context) and _is_heard(host_of(context))):
        return
    failure = context.output("power_off").get("error")
    if power == "on" and failure:
        error = error_from_data(failure)
        raise Rejected(f"{host_of(context).name} is still on: {error.message}", error.detail)
    if _is_woken_by_lan(context):
        raise Again("read_power", f"{host_of(context).name} is not silent yet; asking again.")
    raise Again("read_power", f"The BMC of {host_of(context).name} says {power or 'nothing'}; asking again.")


def _is_heard(host: Host) -> bool:
    """Whether its plane has spoken in the last moments."""
    return host.last_seen_at is not None and timezone.now() - host.last_seen_at < SILENCE


def _record_off(context: Context) -> None:
    Host.objects.filter(pk=context.parameters["host"]).update(
        power=Host.Power.OFF, power_read_at=timezone.now(), desired_power=Host.Power.OFF
    )
    publish_change("host", context.parameters["host"], "powered off")


def _want_on(context: Context) -> Output:
    host = host_of(context)
    Host.objects.filter(pk=host.pk).update(desired_power=Host.Power.ON)
    publish_change("host", host.pk, "powering on")
    return {"desired_power": host.desired_power, "was_off": host.power == Host.Power.OFF}


def _want_as_before(context: Context) -> None:
    """What the BMC made of it is not known: the next observation or reading tells."""
    Host.objects.filter(pk=context.parameters["host"]).update(
        desired_power=context.output("want_on").get("desired_power", Host.Power.OFF),
        power=Host.Power.UNKNOWN,
        power_read_at=timezone.now(),
    )
    publish_change("host", context.parameters["host"], "power unknown")


def _power_on(context: Context) -> EffectCall:
    return power_call(context, "power.on", "power_on")


def ping_step(context: Context) -> EffectCall:
    wait_s = float(context.parameters.get("wait_s", BOOT_WAIT_S))
    return EffectCall(host_short(host_of(context).name), "host.ping", timeout_s=10, deadline_s=wait_s)


def _record_on(context: Context) -> None:
    host = host_of(context)
    Host.objects.filter(pk=host.pk).update(
        power=Host.Power.ON,
        power_read_at=timezone.now(),
        desired_power=Host.Power.ON,
        is_cordoned=host.is_in_maintenance,
    )
    if context.output("want_on").get("was_off"):  # one that was on already proves nothing
        wake_passed(context, host)
    publish_change("host", host.pk, "powered on")


def _note_failed_wake(context: Context) -> None:
    if context.operation.cancel_requested_at is None:
        wake_failed(context, host_of(context))


HOST_POWER_OFF = register(
    Saga(
        "host_power_off",
        "switch off",
        (
            Step("cordon", control=_cordon, undo=_uncordon),
            Step("quiesce", effect=host_call("host.quiesce"), undo_effect=host_call("host.unquiesce")),
            Step("assert_empty", effect=host_call("host.assert_empty"), attempts=2),  # reads only
            # 204 means accepted, not off; an error does not mean on. The reading decides.
            Step("power_off", effect=power_off_step, attempts=2, failure_is_output=True),
            Step("read_power", effect=read_power_step, patience_s=120, stuck_on_failure=True, cancel_waits=True),
            Step("confirm_off", control=confirm_off_step, patience_s=180, cancel_waits=True),
            Step("record", control=_record_off, point_of_no_return=True, cancel_waits=True),
        ),
    )
)

HOST_POWER_ON = register(
    Saga(
        "host_power_on",
        "wake",
        (
            Step("want_on", control=_want_on, undo=_want_as_before),
            Step("power_on", effect=_power_on),  # not undone: a machine that boots late is better than a cut one
            Step("ping", effect=ping_step, attempts=1, patience_s=BOOT_WAIT_S),
            Step("unquiesce", effect=host_call("host.unquiesce")),  # a later power-off quiesces again
            Step("record", control=_record_on),
        ),
        on_undone=_note_failed_wake,
    )
)
