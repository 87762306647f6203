"""Images from elsewhere: fetched or uploaded, judged, made into qcow2, and left with the control plane."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import Invalid, Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from hosts.units import GIB
from workloads.drivers.download import download, url_check
from workloads.drivers.foreign_images import FOREIGN_FORMATS
from workloads.drivers.specs import FORMATS, ISO, uuid_check
from workloads.effects.drivers import volumes
from workloads.effects.sending import file_send

Data = dict[str, Any]
FILE_MOST_BYTES, KEPT_FREE_BYTES = 64 * GIB, 1 * GIB


@effect("image.bring_in", lane="long")
def image_bring_in(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Takes the file from `url`, or from what the control plane holds at `source`; leaves qcow2 at `blob`.

    Undo: none; the control plane drops the bytes with the operation, and the host keeps no copy.
    """
    image_format = str(arguments["format"])
    if image_format not in (*FORMATS, ISO, *FOREIGN_FORMATS):
        raise Invalid("There is no such format of disk images.", image_format[:50])
    folder = Path(context.config.image_cache)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{uuid_check(arguments['operation'])}.arriving"
    made = file.with_name(file.name + ".qcow2")
    try:
        _fetch(context, arguments, file, progress)
        progress.update("examining the image", at_once=True)
        ready = volumes(context).image_accept(file, image_format, made, progress)
        return file_send(context, ready, str(arguments["blob"]), "the image", progress)
    finally:
        for left in (file, made, file.with_name(file.name + ".part")):
            with suppress(FileNotFoundError):
                left.unlink()


def _fetch(context: PlaneContext, arguments: Data, file: Path, progress: Progress) -> None:
    wanted = str(arguments.get("sha256") or "")
    most_bytes = min(FILE_MOST_BYTES, shutil.disk_usage(file.parent).free - KEPT_FREE_BYTES)
    if url := arguments.get("url"):
        found = download(url_check(url), file, most_bytes, progress)
        if wanted and found != wanted:
            raise Refused("The file has another SHA-256 than was given. It was thrown away.", f"it is {found}")
        return
    if int(arguments["size_bytes"]) > most_bytes:
        raise Refused("The host has too little room for the image while it is converted. Choose another host.")
    context.control.blob_fetch(str(arguments["source"]), wanted, int(arguments["size_bytes"]), file, progress)
