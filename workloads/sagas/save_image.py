"""Keep a disk of a VM that is off as an image of the library, from which others are made on any host."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from hosts.blobs import blob_path
from hosts.errors import Refused
from hosts.operations.registry import register
from hosts.operations.saga import Context, EffectCall, Output, Saga, Step
from hosts.publish import publish_change
from workloads.drivers.images import qcow2_size_judged
from workloads.models import Image
from workloads.sagas.calls import long_call

COPY_TIMEOUT_S = 3600.0


def _bring(context: Context) -> EffectCall:
    blob = f"/plane/v1/blobs/{context.operation.pk}/bring"
    return long_call(context, "vm.disk_send", timeout_s=COPY_TIMEOUT_S, target=context.parameters["target"], blob=blob)


def _store(context: Context) -> Output:
    """The bytes get a second name where images are kept; the blob's own goes with the operation."""
    parameters, brought = context.parameters, context.output("bring")
    image = _image(context)
    if Image.objects.filter(name=image.name).exists():
        raise Refused(f"There is an image {image.name} by now. Try again with another name.")
    image.path.parent.mkdir(parents=True, exist_ok=True)
    blob = blob_path(context.operation.pk, "bring")
    with suppress(FileExistsError):
        try:
            os.link(blob, image.path)
        except FileNotFoundError:
            raise Refused("The copy of the disk is no longer there. Try again.") from None
        except OSError:  # the folder of images lies on another file system
            shutil.copyfile(blob, image.path)
    os.chmod(image.path, 0o640)
    image.sha256, image.size_bytes = brought["sha256"], int(brought["size_bytes"])
    if image.path.stat().st_size != image.size_bytes:
        raise Refused("The copy of the disk arrived cut short. Try again.")
    image.virtual_size_bytes = qcow2_size_judged(str(image.path))
    image.save(force_insert=True)
    publish_change("image", image.pk, "added")
    return {"image": parameters["image"]}


def _forget(context: Context) -> None:
    """Nothing was added: the file, if there is one, belongs to nobody."""
    _image(context).path.unlink(missing_ok=True)


def _image(context: Context) -> Image:
    parameters = context.parameters
    return Image(uuid=parameters["image"], name=parameters["name"], format=Image.Format.QCOW2)


SAVE_IMAGE = register(
    Saga(
        "save_image",
        "save as an image",
        # Nothing of it is undone on the host, which keeps no copy.
        (Step("bring", effect=_bring), Step("store", control=_store)),
        on_undone=_forget,
    )
)
