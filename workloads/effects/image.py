"""Effects on images: bytes from the control plane into the host's cache, judged before anything uses them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import StowageError
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import ImageSource
from workloads.effects.drivers import volumes


@effect("image.ensure", lane="long", brings_work=True)
def image_ensure(context: PlaneContext, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Undo: none; a cached image is harmless and serves the next disk."""
    return {"path": image_ready(context, ImageSource.from_data(arguments), progress)}


def image_ready(context: PlaneContext, source: ImageSource, progress: Progress) -> str:
    """The path of the image in the cache, fetched and found to be one; raises Refused when it is not."""
    files = volumes(context)
    path = Path(files.image_path(source))
    with context.locks.wait(f"image {source.image}", lambda: not progress.is_aborted()) as held:
        if not held:
            progress.check()
        if path.exists():
            return str(path)
        # Under its own name only when it is judged: a crash in between must not leave an unjudged image in use.
        unjudged = path.with_name(path.name + ".unjudged")
        context.control.image_fetch(source.image, source.sha256, source.size_bytes, unjudged, progress)
        progress.update("examining the image", at_once=True)
        try:
            files.image_inspect(str(unjudged), source.format)
        except StowageError:
            with suppress(FileNotFoundError):
                unjudged.unlink()
            raise
        os.replace(unjudged, path)
    return str(path)
