"""Effects on named volumes: made, copied from host to host by way of the control plane, compared and removed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import Invalid, Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from hosts.units import MIB
from workloads.drivers.specs import uuid_check
from workloads.drivers.volume_spec import VOLUME_NAME, names_of
from workloads.effects import drivers

Data = dict[str, Any]
INDEX_KEPT_S = 7 * 24 * 3600.0


def names_check(names: Any) -> list[str]:
    """Names of volumes that came in a command; raises Invalid."""
    if not isinstance(names, list | tuple) or not all(VOLUME_NAME.fullmatch(str(name)) for name in names):
        raise Invalid("The command names volumes that cannot be.")
    return [str(name) for name in names]


@effect("container.volumes_describe", lane="long", is_exclusive=False)
def container_volumes_describe(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """The container's named volumes and their bytes; Refused when it has what cannot be taken to another host."""
    uuid = uuid_check(arguments["uuid"])
    spec = drivers.containers(context).describe(uuid)
    if folders := [volume.source for volume in spec.volumes if volume.kind == "bind"]:
        raise Refused(f"{spec.name} uses the folder {folders[0]} of its host, so it stays there.")
    found = drivers.container_volumes(context).found(uuid, names_of(spec.volumes))
    return {"volumes": [volume.name for volume in found], "size_bytes": sum(volume.size_bytes for volume in found)}


@effect("container.volumes_create", lane="short", brings_work=True)
def container_volumes_create(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.volumes_remove with the operation."""
    operation = str(uuid_check(arguments["operation"]))
    names = names_check(arguments["volumes"])
    drivers.container_volumes(context).create(names, operation, int(arguments.get("need_bytes") or 0))
    return {}


@effect("container.volumes_remove", lane="short")
def container_volumes_remove(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none. Those that another container uses stay; with an operation only those that it made are removed."""
    operation = str(uuid_check(arguments["operation"])) if arguments.get("operation") else ""
    return {"kept": drivers.container_volumes(context).remove(names_check(arguments["volumes"]), operation)}


@effect("container.volumes_send", lane="long")
def container_volumes_send(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """On the source: sends all that is in the volumes, or with `is_rest` what has changed since it was sent.

    Undo: none; the control plane drops the blob with the operation.
    """
    names, is_rest = names_check(arguments["volumes"]), arguments.get("is_rest") is True
    index = _index(context, str(uuid_check(arguments["operation"])))
    digest, sizes = hashlib.sha256(), [0]

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            progress.check()
            digest.update(chunk)
            sizes[0] += len(chunk)
            progress.update(f"sending its volumes, {sizes[0] // MIB} MiB so far")
            yield chunk

    chunks = drivers.container_volumes(context).pack(names, index, is_rest=is_rest)
    context.control.blob_send(arguments["blob"], counted(chunks), progress)
    return {"blob": arguments["blob"], "sha256": digest.hexdigest(), "size_bytes": sizes[0]}


@effect("container.volumes_take", lane="long", brings_work=True)
def container_volumes_take(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """On the target: brings the volumes to what was sent. Undo: none of its own; they go with what made them."""
    names = names_check(arguments["volumes"])
    archive = Path(context.config.image_cache) / f"volumes-{uuid_check(arguments['uuid'])}.tar"
    try:
        context.control.blob_fetch(
            arguments["blob"], str(arguments["sha256"]), int(arguments["size_bytes"]), archive, progress
        )
        progress.update("writing its volumes", at_once=True)
        drivers.container_volumes(context).unpack(names, archive)
    finally:
        with suppress(FileNotFoundError):
            archive.unlink()
    return {}


@effect("container.volumes_sum", lane="long", is_exclusive=False)
def container_volumes_sum(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """One sum for each volume over all that is in it."""
    progress.update("comparing its volumes", at_once=True)
    return {"sums": drivers.container_volumes(context).sums(names_check(arguments["volumes"]))}


def _index(context: PlaneContext, operation: str) -> Path:
    """Where the source remembers what it has sent; those of operations of long ago go."""
    folder = Path(context.config.state_dir) / "volumes"
    for old in folder.glob("*.index"):
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > INDEX_KEPT_S:
                old.unlink()
    return folder / f"{operation}.index"
