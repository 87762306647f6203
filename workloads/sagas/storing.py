"""The last step of every operation that brings an image: its bytes are here, left by a host at the step `bring`."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from hosts.blobs import blob_path
from hosts.errors import Refused
from hosts.operations.saga import Context, Output, Step
from hosts.publish import publish_change
from workloads.drivers.images import qcow2_size_judged
from workloads.models import Image

COPY_TIMEOUT_S = 3600.0


def blob_of(context: Context) -> str:
    """Where the host leaves the bytes."""
    return f"/plane/v1/blobs/{context.operation.pk}/bring"


def image_forget(context: Context) -> None:
    """Nothing was added: the file, if there is one, belongs to nobody."""
    _image(context).path.unlink(missing_ok=True)


def _store(context: Context) -> Output:
    """The bytes get a second name where images are kept; the blob's own goes with the operation."""
    brought, image = context.output("bring"), _image(context)
    if Image.objects.filter(name=image.name).exists():
        raise Refused(f"There is an image {image.name} by now. Try again with another name.")
    image.path.parent.mkdir(parents=True, exist_ok=True)
    blob = blob_path(context.operation.pk, "bring")
    with suppress(FileExistsError):
        try:
            os.link(blob, image.path)
        except FileNotFoundError:
            raise Refused("What the host sent is no longer there. Try again.") from None
        except OSError:  # the folder of images lies on another file system
            shutil.copyfile(blob, image.path)
    os.chmod(image.path, 0o640)
    image.sha256, image.size_bytes = brought["sha256"], int(brought["size_bytes"])
    if image.path.stat().st_size != image.size_bytes:
        raise Refused("What the host sent arrived cut short. Try again.")
    is_iso = image.format == Image.Format.ISO
    image.virtual_size_bytes = image.size_bytes if is_iso else qcow2_size_judged(str(image.path))
    image.save(force_insert=True)
    publish_change("image", image.pk, "added")
    return {"image": str(image.pk)}


def _image(context: Context) -> Image:
    parameters = context.parameters
    is_iso = parameters.get("format") == Image.Format.ISO  # whatever else came is qcow2 by now
    image_format = Image.Format.ISO if is_iso else Image.Format.QCOW2
    return Image(uuid=parameters["image"], name=parameters["name"], format=image_format)


STORE = Step("store", control=_store)
