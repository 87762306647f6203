"""Create a container: the container with its image, its start. The row was made when the operation began."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import Image, Workload
from workloads.sagas.calls import generation_of, long_call, record_observed, row_remove, short_call
from workloads.sagas.container_images import with_login
from workloads.sagas.start_stop import stop_call
from workloads.sagas.waking import WAKE

IMAGE_TIMEOUT_S = 1800.0
HEALTHY_WITHIN_S = 60.0


def archive_of(reference: str) -> dict[str, Any] | None:
    """Our own archive of the image, for hosts that cannot pull it; None where a registry has to have it."""
    image = Image.objects.filter(
        reference=reference, format__in=(Image.Format.ROOT_ARCHIVE, Image.Format.ENGINE_ARCHIVE)
    ).first()
    if image is None:
        return None
    return {
        "image": str(image.pk),
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "format": image.format,
    }


def volume_names(spec: dict[str, Any]) -> list[str]:
    """The named volumes of a container's spec, each once."""
    return sorted({str(each["source"]) for each in spec.get("volumes") or () if each.get("kind") != "bind"})


def wait_healthy_call(context: Context, role: str = "host") -> EffectCall:
    """Waits until the container runs, and is healthy where it has a health check."""
    call = short_call(context, "container.wait_healthy", role=role, timeout_s=HEALTHY_WITHIN_S + 10)
    return replace(call, arguments=call.arguments | {"timeout_s": HEALTHY_WITHIN_S})


def _spec(context: Context) -> dict[str, Any]:
    return {
        **context.parameters["spec"],
        "generation": generation_of(context),
        "operation": str(context.operation.pk),
    }


def _create(context: Context) -> EffectCall:
    spec = _spec(context)
    archive = archive_of(spec["image"])
    call = long_call(context, "container.create_with_image", timeout_s=IMAGE_TIMEOUT_S + 60, spec=spec, archive=archive)
    return call if archive else with_login(context, "create", call, spec["image"])


def _record(context: Context) -> None:
    record_observed(
        context, Workload.State.RUNNING, desired=Workload.Desired.RUNNING, generation=generation_of(context)
    )


# with its image, which stays; the engine shares its layers
CREATE = Step(
    "create",
    effect=_create,
    undo_effect=lambda context: short_call(
        context,
        "container.remove",
        operation=str(context.operation.pk),
        volumes=volume_names(context.parameters["spec"]),
    ),
)

CREATE_CONTAINER = register(
    Saga(
        "create_container",
        "create container",
        (
            WAKE,
            CREATE,
            Step(
                "start",
                effect=lambda context: short_call(context, "container.start", timeout_s=60),
                undo_effect=lambda context: stop_call(context, force=True, timeout_s=5),
            ),
            Step(
                "wait_healthy",
                effect=wait_healthy_call,
                attempts=1,
            ),
            Step("record", control=_record),
        ),
        on_undone=row_remove,
    )
)
