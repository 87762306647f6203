"""Make a container anew from a newer image: the old one waits, stopped under another name, until the new one is well.

Both publish the same ports and use the same volumes, so the old one is stopped first. Until the new one is known to
be well every failure brings the old one back. What the old one wrote into its own layer goes with it.
"""

from __future__ import annotations

from typing import Any

from hosts.errors import Refused
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import Container, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, short_call, uuid_of, workload_of
from workloads.sagas.container_images import PULL_TIMEOUT_S, with_login
from workloads.sagas.create_container import IMAGE_TIMEOUT_S, archive_of, wait_healthy_call
from workloads.sagas.start_stop import stop_call

TIDY_PATIENCE_S = 300.0
STALL_TIMEOUT_S = 60.0  # as for a pull by itself


def _described(context: Context) -> dict[str, Any]:
    return dict(context.output("describe")["spec"])


def _image_of(context: Context) -> str:
    return str(context.parameters.get("image") or _described(context)["image"])


def _fetch(context: Context) -> EffectCall:
    """The same name: as its registry or our own archive has it now. Another one: as the host has it, or can get it."""
    reference = _image_of(context)
    archive = archive_of(reference)
    is_same_name = reference == _described(context)["image"]
    if is_same_name and not archive:
        call = long_call(
            context,
            "container.image_pull",
            timeout_s=PULL_TIMEOUT_S,
            image=reference,
            stall_timeout_s=STALL_TIMEOUT_S,
        )
        return with_login(context, "image", call, reference)
    call = long_call(
        context,
        "container.image_ensure",
        timeout_s=IMAGE_TIMEOUT_S,
        image=reference,
        archive=archive,
        anew=is_same_name,
    )
    return call if archive else with_login(context, "image", call, reference)


def _check_newer(context: Context) -> None:
    if context.output("image").get("image_id") == context.output("image_used").get("image_id"):
        name = workload_of(context).name
        raise Refused(f"{name} runs from the newest {_image_of(context)} already. It was left as it is.")


def _unfence(context: Context) -> EffectCall:
    described = _described(context).get("restart_policy") or "no"
    policy = context.output("fence").get("restart_policy") or described
    return short_call(context, "container.unfence", timeout_s=60, restart_policy=policy)


def _create(context: Context) -> EffectCall:
    spec = _described(context) | {
        "uuid": uuid_of(context),
        "image": _image_of(context),
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }
    return short_call(context, "container.create", timeout_s=60, spec=spec)


def _record(context: Context) -> None:
    Container.objects.filter(pk=uuid_of(context)).update(image_reference=_image_of(context))
    record_observed(context, Workload.State.RUNNING, generation=generation_of(context))
    publish_change("workload", uuid_of(context), "made anew")


RECREATE_CONTAINER = register(
    Saga(
        "recreate_container",
        "make anew from its image",
        (
            Step("describe", effect=lambda context: long_call(context, "container.describe")),  # reads only
            Step("image_used", effect=lambda context: short_call(context, "container.image_used")),  # reads only
            # Images stay; the engine shares their layers.
            Step("image", effect=_fetch, attempts=2),
            Step("check_newer", control=_check_newer),
            Step(
                "fence",
                effect=lambda context: short_call(context, "container.fence", timeout_s=60),
                undo_effect=_unfence,
            ),
            Step(
                "set_aside",
                effect=lambda context: short_call(context, "container.set_aside"),
                undo_effect=lambda context: short_call(
                    context, "container.take_back", name=_described(context)["name"]
                ),
            ),
            Step(
                "create",
                effect=_create,
                undo_effect=lambda context: short_call(
                    context, "container.remove", operation=str(context.operation.pk)
                ),
            ),
            Step(
                "start",
                effect=lambda context: short_call(context, "container.start", timeout_s=60),
                undo_effect=lambda context: stop_call(context, force=True, timeout_s=5),
            ),
            Step("wait_healthy", effect=wait_healthy_call, attempts=1),
            Step("record", control=_record, point_of_no_return=True),
            Step(
                "drop_aside",
                effect=lambda context: short_call(context, "container.drop_aside"),
                patience_s=TIDY_PATIENCE_S,
            ),
        ),
    )
)
