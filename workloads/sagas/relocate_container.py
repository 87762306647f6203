"""Relocate a container: the same one is started on another host, and only when it is well the old one goes.

A container has no live migration: what it wrote into its own layer stays behind. Without volumes both run for a moment.
With named volumes the old one is stopped in between: they are copied while it runs, then what changed meanwhile, and
both trees are compared before the new one begins to write. Whatever fails before the new one has its place is undone:
the old one goes on with its volumes, those of the target are removed. When the source falls silent while it is held
back nobody can tell whether the old one still runs: the operation is stuck and a person decides.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hosts.errors import Refused, Rejected
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.publish import publish_change
from workloads.models import Sighting, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, short_call, workload_of
from workloads.sagas.container_images import with_login
from workloads.sagas.create_container import IMAGE_TIMEOUT_S, archive_of, wait_healthy_call
from workloads.sagas.start_stop import stop_call

TIDY_PATIENCE_S = 300.0
COPY_TIMEOUT_S = 4 * 3600.0


def _spec(context: Context) -> dict[str, Any]:
    return {
        **context.output("describe")["spec"],
        "uuid": context.parameters["workload"],
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }


def _image(context: Context) -> EffectCall:
    reference = context.output("describe")["spec"]["image"]
    archive = archive_of(reference)
    call = long_call(
        context,
        "container.image_ensure",
        role="target",
        timeout_s=IMAGE_TIMEOUT_S,
        image=reference,
        archive=archive,
    )
    return call if archive else with_login(context, "image", call, reference)


def _is_image_missing(context: Context) -> bool:
    return "error" in context.output("image")


def _blob(context: Context) -> str:
    return f"/plane/v1/blobs/{context.operation.pk}/export"


def _export(context: Context) -> EffectCall:
    reference = context.output("describe")["spec"]["image"]
    return long_call(
        context,
        "container.image_export",
        role="source",
        timeout_s=IMAGE_TIMEOUT_S,
        image=reference,
        blob=_blob(context),
    )


def _load(context: Context) -> EffectCall:
    exported = context.output("export")
    return long_call(
        context,
        "container.image_ensure",
        role="target",
        timeout_s=IMAGE_TIMEOUT_S,
        image=context.output("describe")["spec"]["image"],
        archive={key: exported[key] for key in ("blob", "sha256", "size_bytes")},
    )


def _volumes(context: Context) -> list[str]:
    return list(context.output("volumes_source").get("volumes") or ())


def _has_volumes(context: Context) -> bool:
    return bool(_volumes(context))


def _has_none(context: Context) -> bool:
    return not _volumes(context)


def _keeps_data(context: Context) -> bool:
    return bool(context.output("describe")["spec"].get("volumes"))


def _volumes_create(context: Context) -> EffectCall:
    return short_call(
        context,
        "container.volumes_create",
        role="target",
        timeout_s=60,
        volumes=_volumes(context),
        operation=str(context.operation.pk),
        need_bytes=context.output("volumes_source")["size_bytes"],
    )


def _volumes_uncreate(context: Context) -> EffectCall | None:
    if not _volumes(context):
        return None
    return short_call(
        context,
        "container.volumes_remove",
        role="target",
        timeout_s=60,
        volumes=_volumes(context),
        operation=str(context.operation.pk),
    )


def _send(step: str, context: Context) -> EffectCall:
    return long_call(
        context,
        "container.volumes_send",
        role="source",
        timeout_s=COPY_TIMEOUT_S,
        volumes=_volumes(context),
        operation=str(context.operation.pk),
        is_rest=step == "send_rest",
        blob=f"/plane/v1/blobs/{context.operation.pk}/{step}",
    )


def _take(sent: str, context: Context) -> EffectCall:
    output = context.output(sent)
    return long_call(
        context,
        "container.volumes_take",
        role="target",
        timeout_s=COPY_TIMEOUT_S,
        volumes=_volumes(context),
        **{key: output[key] for key in ("blob", "sha256", "size_bytes")},
    )


def _sum(role: str, context: Context) -> EffectCall:
    return long_call(context, "container.volumes_sum", role=role, timeout_s=COPY_TIMEOUT_S, volumes=_volumes(context))


def _check_same(context: Context) -> None:
    here, there = context.output("sum_source").get("sums") or {}, context.output("sum_target").get("sums") or {}
    if different := sorted(name for name in _volumes(context) if not here.get(name) or here[name] != there.get(name)):
        raise Rejected(f"The copy of the volume {different[0]} is not what it was. Nothing was moved.")


def _fence(context: Context) -> EffectCall:
    return short_call(context, "container.fence", role="source", timeout_s=60)


def _create(context: Context) -> EffectCall:
    return short_call(context, "container.create", role="target", timeout_s=60, spec=_spec(context))


def _unfence_source(context: Context) -> EffectCall:
    """The old one goes on as it was; after a lost answer with the restart policy that it was described with."""
    described = context.output("describe")["spec"].get("restart_policy") or "no"
    fenced = context.output("stop_source") or context.output("fence_source")
    policy = fenced.get("restart_policy") or described
    return short_call(context, "container.unfence", role="source", timeout_s=60, restart_policy=policy)


def _swap_owner(context: Context) -> None:
    workload = workload_of(context)
    swapped = Workload.objects.filter(
        pk=workload.pk, host=context.parameters["source"], generation__lt=generation_of(context)
    ).update(host=context.parameters["target"], generation=generation_of(context))
    if not swapped:
        raise Refused(f"{workload.name} is no longer owned by the host that it is moved from; the new copy is removed.")
    Sighting.objects.filter(workload=workload, host=context.parameters["source"]).delete()
    publish_change("workload", workload.pk, "moved")


def _record(context: Context) -> None:
    record_observed(context, Workload.State.RUNNING)


RELOCATE_CONTAINER = register(
    Saga(
        "relocate_container",
        "move container",
        (
            Step(
                "describe", effect=lambda context: long_call(context, "container.describe", role="source")
            ),  # reads only
            # Images stay where they are; the engine shares their layers.
            Step("image", effect=_image, failure_is_output=True),
            # Neither here nor in a registry: the source's own copy goes, by way of the control plane.
            Step("export", effect=_export, when=_is_image_missing),
            Step("load", effect=_load, when=_is_image_missing),
            Step(
                "volumes_source",  # reads only
                effect=lambda context: long_call(context, "container.volumes_describe", role="source"),
                when=_keeps_data,
            ),
            Step("volumes_target", effect=_volumes_create, undo_effect=_volumes_uncreate, when=_has_volumes),
            Step("send", effect=partial(_send, "send"), when=_has_volumes),
            Step("take_sent", effect=partial(_take, "send"), when=_has_volumes),
            Step("stop_source", effect=_fence, undo_effect=_unfence_source, when=_has_volumes),
            Step("send_rest", effect=partial(_send, "send_rest"), when=_has_volumes),
            Step("take_rest", effect=partial(_take, "send_rest"), when=_has_volumes),
            Step("sum_source", effect=partial(_sum, "source"), when=_has_volumes),
            Step("sum_target", effect=partial(_sum, "target"), when=_has_volumes),
            Step("check_same", control=_check_same, when=_has_volumes),
            Step(
                "create",
                effect=_create,
                undo_effect=lambda context: short_call(
                    context, "container.remove", role="target", operation=str(context.operation.pk)
                ),
            ),
            Step(
                "start",
                effect=lambda context: short_call(context, "container.start", role="target", timeout_s=60),
                undo_effect=lambda context: stop_call(context, force=True, timeout_s=5, role="target"),
            ),
            Step("wait_healthy", effect=lambda context: wait_healthy_call(context, "target"), attempts=1),
            # Restart policy "no" first: an engine that restarts would otherwise bring the old one back.
            Step(
                "fence_source",
                effect=_fence,
                undo_effect=_unfence_source,
                when=_has_none,
            ),
            Step("swap_owner", control=_swap_owner, point_of_no_return=True),
            Step(
                "remove_source",
                effect=lambda context: short_call(context, "container.remove", role="source"),
                patience_s=TIDY_PATIENCE_S,
            ),
            Step(
                "volumes_left",
                effect=lambda context: short_call(
                    context, "container.volumes_remove", role="source", timeout_s=60, volumes=_volumes(context)
                ),
                when=_has_volumes,
                patience_s=TIDY_PATIENCE_S,
            ),
            Step("record", control=_record),
        ),
    )
)
