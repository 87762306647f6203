"""The calls to a host's BMC, all through its site's plane, with the password as a reference."""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused
from hosts.models import Bmc, BmcProposal, Host
from hosts.operations.queues import site_queue
from hosts.operations.saga import Context, EffectCall


def host_of(context: Context) -> Host:
    """The host that the operation is about."""
    return Host.objects.select_related("rack__site").get(pk=context.parameters["host"])


def power_call(
    context: Context,
    effect: str,
    step: str,
    *,
    proposal: BmcProposal | None = None,
    timeout_s: float = 180,
    **arguments: Any,
) -> EffectCall:
    """A call of a power effect, to the proposed BMC where one is given; raises Refused when there is none at all."""
    host = host_of(context)
    bmc = proposal or Bmc.objects.filter(host=host).first()
    if bmc is None:
        raise Refused(f"{host.name} has no BMC, so its power cannot be switched from here.")
    address = {
        "url": bmc.url,
        "system": bmc.system,
        "username": bmc.username,
        "secret": f"/plane/v1/secrets/{context.operation.pk}/{step}",
    }
    return EffectCall(
        site_queue(host.rack.site.name),
        effect,
        {"bmc": address, **arguments},
        subject=("host", str(host.pk)),
        timeout_s=timeout_s,
        deadline_s=60,
        secret={"kind": "bmc_proposal" if proposal else "bmc", "host": str(host.pk)},
    )
