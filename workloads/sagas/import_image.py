"""Make an image of the library from a file of another format, or from one on the web. A host does the work."""

from __future__ import annotations

from hosts.operations.queues import host_long
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.models import ImageArrival
from workloads.sagas.calls import LONG_DEADLINE_S, host_name
from workloads.sagas.storing import COPY_TIMEOUT_S, STORE, blob_of, image_forget

ARRIVED = "arrived"  # the name under which an upload lies among the operation's bytes


def _bring(context: Context) -> EffectCall:
    parameters = context.parameters
    arguments = {key: parameters[key] for key in ("format", "sha256", "url", "size_bytes")}
    if not parameters["url"]:
        arguments["source"] = f"/plane/v1/blobs/{context.operation.pk}/{ARRIVED}"
    return EffectCall(
        host_long(host_name(context)),
        "image.bring_in",
        {**arguments, "operation": str(context.operation.pk), "blob": blob_of(context)},
        subject=("image", parameters["image"]),
        timeout_s=COPY_TIMEOUT_S,
        deadline_s=LONG_DEADLINE_S,
    )


def _clear(context: Context) -> None:
    """The upload has become an image: its own bytes are needed no more."""
    arrival = ImageArrival.objects.filter(pk=context.parameters.get("arrival") or None).first()
    if arrival is not None:
        arrival.path.unlink(missing_ok=True)
        arrival.delete()


IMPORT_IMAGE = register(
    Saga(
        "import_image",
        "import an image",
        # Nothing of it is undone on the host, which keeps no copy. A failed upload stays, to be finished again.
        (Step("bring", effect=_bring), STORE, Step("clear", control=_clear)),
        on_undone=image_forget,
    )
)
