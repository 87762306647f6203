"""Images on a host: bytes from the control plane into the host's cache, judged before anything uses them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hosts.plane.context import PlaneContext
from hosts.plane.progress import Progress
from workloads.drivers.specs import ImageSource
from workloads.effects.drivers import volumes


def image_ready(context: PlaneContext, source: ImageSource, progress: Progress) -> str:
    """The path of the image in the cache, fetched, found to be one and unpacked; raises Refused when it is not.

    Nothing takes it back: a cached image is harmless and serves the next disk.
    """
    files = volumes(context)
    path = Path(files.image_path(source))
    with context.locks.wait(f"image {source.image}", lambda: not progress.is_aborted()) as held:
        if not held:
            progress.check()
        if path.exists():
            return str(path)
        # Under its own name only when it is whole: a crash in between must not leave half an image in use.
        unjudged, part = path.with_name(path.name + ".unjudged"), path.with_name(path.name + ".part")
        context.control.image_fetch(source.image, source.sha256, source.size_bytes, unjudged, progress)
        try:
            progress.update("examining the image", at_once=True)
            files.image_inspect(str(unjudged), source.format)
            progress.update("unpacking the image", at_once=True)
            files.image_unpack(str(unjudged), source.format, str(part), progress)
            os.replace(part, path)
        finally:
            for left in (unjudged, part):
                with suppress(FileNotFoundError):
                    left.unlink()
    return str(path)


def iso_ready(context: PlaneContext, source: ImageSource, progress: Progress) -> str:
    """The path of the ISO in the cache, fetched and found to be one. Nothing takes it back."""
    files = volumes(context)
    path = Path(files.iso_path(source))
    with context.locks.wait(f"image {source.image}", lambda: not progress.is_aborted()) as held:
        if not held:
            progress.check()
        if path.exists():
            return str(path)
        unjudged = path.with_name(path.name + ".unjudged")
        context.control.image_fetch(source.image, source.sha256, source.size_bytes, unjudged, progress)
        try:
            files.image_inspect(str(unjudged), "iso")
            os.chmod(unjudged, 0o444)
            os.replace(unjudged, path)
        finally:
            with suppress(FileNotFoundError):
                unjudged.unlink()
    return str(path)
