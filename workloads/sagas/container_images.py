"""Pull a container image to a host, or remove one. Either is a single step: it came about, or the host is as it was.

What a pull that failed or was cancelled has fetched, the engine throws away by itself.
"""

from __future__ import annotations

from dataclasses import replace

from hosts.operations.queues import host_long, host_short
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.drivers.references import registry_of
from workloads.models import Registry
from workloads.sagas.calls import LONG_DEADLINE_S, host_name

PULL_TIMEOUT_S = 4 * 3600.0


def with_login(context: Context, step: str, call: EffectCall, reference: str) -> EffectCall:
    """The call with the login for the image's registry, where one is known; its password never travels itself."""
    registry = Registry.objects.filter(address=registry_of(reference)).first()
    if registry is None:
        return call
    login = {
        "address": registry.address,
        "username": registry.username,
        "secret": f"/plane/v1/secrets/{context.operation.pk}/{step}",
    }
    secret = {"kind": "registry", "registry": str(registry.pk), "address": registry.address}
    return replace(call, arguments=call.arguments | {"login": login}, secret=secret)


def _subject(context: Context) -> tuple[str, str]:
    return context.operation.subject_kind, context.operation.subject_id


def _pull(context: Context) -> EffectCall:
    reference = context.parameters["image"]
    call = EffectCall(
        host_long(host_name(context)),
        "container.image_pull",
        {"image": reference, "stall_timeout_s": context.parameters["stall_timeout_s"]},
        subject=_subject(context),
        timeout_s=PULL_TIMEOUT_S,
        deadline_s=LONG_DEADLINE_S,
    )
    return with_login(context, "pull", call, reference)


def _remove(context: Context) -> EffectCall:
    return EffectCall(
        host_short(host_name(context)),
        "container.image_remove",
        {"engine_id": context.parameters["engine_id"]},
        subject=_subject(context),
        timeout_s=60,
    )


# Nothing to take back: the image as it is now serves the next container, and may be what containers run from already.
PULL_IMAGE = register(Saga("pull_image", "pull image", (Step("pull", effect=_pull, attempts=2),)))
REMOVE_IMAGE = register(Saga("remove_image", "remove image", (Step("remove_image", effect=_remove),)))
