"""Keep a disk of a VM that is off as an image of the library, from which others are made on any host."""

from __future__ import annotations

from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Saga, Step
from workloads.sagas.calls import long_call
from workloads.sagas.storing import COPY_TIMEOUT_S, STORE, blob_of, image_forget


def _bring(context: Context) -> EffectCall:
    target = context.parameters["target"]
    return long_call(context, "vm.disk_send", timeout_s=COPY_TIMEOUT_S, target=target, blob=blob_of(context))


SAVE_IMAGE = register(
    Saga(
        "save_image",
        "save as an image",
        # Nothing of it is undone on the host, which keeps no copy.
        (Step("bring", effect=_bring), STORE),
        on_undone=image_forget,
    )
)
