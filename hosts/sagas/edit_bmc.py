"""Change a host's BMC: the new one is asked for the power state first, and kept when it has told it."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from hosts.errors import Refused
from hosts.models import Bmc, BmcProposal
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from hosts.sagas.power_calls import host_of, power_call

HEARD_LATELY = timedelta(seconds=15)  # three beats of a host plane


def _proposal(context: Context) -> BmcProposal:
    return BmcProposal.objects.get(operation=context.operation)


def _read_power(context: Context) -> EffectCall:
    return power_call(context, "power.read", "read_power", proposal=_proposal(context), timeout_s=60)


def _keep(context: Context) -> None:
    host, proposal = host_of(context), _proposal(context)
    is_heard = host.last_seen_at is not None and timezone.now() - host.last_seen_at < HEARD_LATELY
    if context.output("read_power").get("power") == "off" and is_heard:
        raise Refused(
            f"This BMC says that its machine is off, while {host.name} is on and answers: it belongs to another"
            " machine. Check its address and the system."
        )
    names = ("url", "system", "username", "password_encrypted")
    Bmc.objects.update_or_create(host=host, defaults={name: getattr(proposal, name) for name in names})
    proposal.delete()
    publish_change("host", host.pk, "BMC changed")


def _forget(context: Context) -> None:
    BmcProposal.objects.filter(operation=context.operation).delete()


HOST_BMC_EDIT = register(
    Saga(
        "host_bmc_edit",
        "change BMC",
        (
            Step("read_power", effect=_read_power, attempts=2),  # reads only
            Step("keep", control=_keep),  # the last step: nothing after it can fail
        ),
        on_undone=_forget,
    )
)
