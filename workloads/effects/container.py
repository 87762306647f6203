"""Effects on containers and their images. Each is an "ensure"."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hosts.errors import Refused
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.specs import (
    RESTART_POLICIES,
    ContainerSpec,
    limits_check,
    name_check,
    reference_check,
    uuid_check,
)
from workloads.effects import container_renewal, container_volumes
from workloads.effects.container_image import login_of
from workloads.effects.container_volumes import names_check
from workloads.effects.drivers import container_volumes as container_volumes_driver
from workloads.effects.drivers import containers

Data = dict[str, Any]


@effect("container.locate", lane="short", is_exclusive=False)
def container_locate(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    return containers(context).locate(uuid_check(arguments["uuid"])).to_data()


@effect("container.describe", lane="long", is_exclusive=False)
def container_describe(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    spec = containers(context).describe(uuid_check(arguments["uuid"]))
    return {"spec": spec.to_data(), "image_id": containers(context).image_id(spec.image)}


@effect("container.create", lane="short", brings_work=True)
def container_create(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.remove."""
    return {"engine_id": containers(context).create(ContainerSpec.from_data(arguments["spec"]))}


@effect("container.start", lane="short", brings_work=True)
def container_start(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.stop."""
    containers(context).start(uuid_check(arguments["uuid"]))
    return {}


@effect("container.stop", lane="short")
def container_stop(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    containers(context).stop(uuid_check(arguments["uuid"]), float(arguments.get("timeout_s", 10.0)))
    return {}


@effect("container.kill", lane="short")
def container_kill(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    containers(context).kill(uuid_check(arguments["uuid"]))
    return {}


@effect("container.rename", lane="short")
def container_rename(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.rename with the name that it had."""
    containers(context).rename(uuid_check(arguments["uuid"]), name_check(arguments["name"], "container"))
    return {}


@effect("container.pause", lane="short")
def container_pause(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.unpause."""
    containers(context).pause(uuid_check(arguments["uuid"]))
    return {}


@effect("container.unpause", lane="short")
def container_unpause(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.pause."""
    containers(context).unpause(uuid_check(arguments["uuid"]))
    return {}


@effect("container.resize", lane="short")
def container_resize(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.resize with what it had."""
    cpu_cores, memory_mib = limits_check(arguments["cpu_cores"], arguments["memory_mib"])
    containers(context).resize(uuid_check(arguments["uuid"]), cpu_cores, memory_mib)
    return {"at_next_start": False}


@effect("container.remove", lane="short")
def container_remove(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """As the undo of a create it is given the operation, and leaves a container of any other alone.

    Of its volumes those go that have no name, and with an operation those that it made.
    """
    uuid = uuid_check(arguments["uuid"])
    operation = arguments.get("operation")
    found = containers(context).locate(uuid)
    is_its_own = not operation or found.operation == operation
    if is_its_own:
        containers(context).remove(uuid)
    if operation and (names := names_check(arguments.get("volumes") or ())):
        container_volumes_driver(context).remove(names, operation)
    if not is_its_own:
        return {"removed": False}
    return {"removed": True}


@effect("container.fence", lane="short")
def container_fence(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: container.unfence with this output."""
    return {"restart_policy": containers(context).fence(uuid_check(arguments["uuid"]))}


@effect("container.unfence", lane="short")
def container_unfence(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    uuid, policy = uuid_check(arguments["uuid"]), arguments.get("restart_policy") or "no"
    if policy not in RESTART_POLICIES:
        raise Refused(f"There is no restart policy {policy}.")
    containers(context).restore_policy(uuid, policy)
    if arguments.get("start", True):
        containers(context).start(uuid)
    return {}


@effect("container.wait_healthy", lane="short", is_exclusive=False)
def container_wait_healthy(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    timeout_s = min(float(arguments.get("timeout_s", 30.0)), max(1.0, progress.remaining_s() - 2.0))
    return {"sentence": containers(context).wait_healthy(uuid_check(arguments["uuid"]), timeout_s)}


@effect("container.image_ensure", lane="long", brings_work=True)
def container_image_ensure(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; an image on a host is harmless and serves the next container."""
    reference = reference_check(arguments["image"])
    driver = containers(context)
    with context.locks.wait(f"container image {reference}", lambda: not progress.is_aborted()) as held:
        if not held:
            progress.check()
        known = driver.image_id(reference)
        if known and not arguments.get("anew"):
            return {"image_id": known, "how": "present"}
        archive = arguments.get("archive")
        if archive:
            _load(context, reference, archive, progress)
        else:
            progress.update(f"pulling {reference}", at_once=True)
            driver.image_pull(reference, progress, login_of(context, arguments))
        return {"image_id": driver.image_id(reference), "how": "archive" if archive else "pulled"}


@effect("container.create_with_image", lane="long", brings_work=True)
def container_create_with_image(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Both in one step, as nothing is decided between them. Undo: container.remove; the image stays."""
    spec = ContainerSpec.from_data(arguments["spec"])
    wanted = {"image": spec.image, "archive": arguments.get("archive"), "login": arguments.get("login")}
    image = container_image_ensure(context, wanted, progress)
    progress.update("")
    return image | {"engine_id": containers(context).create(spec)}


@effect("container.image_export", lane="long", is_exclusive=False)
def container_image_export(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """On the source: saves an image that no registry or archive has, and sends it to the control plane.

    Undo: none; the control plane drops the blob with the operation.
    """
    reference = reference_check(arguments["image"])
    digest, sizes = hashlib.sha256(), [0]

    def counted(chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            progress.check()
            digest.update(chunk)
            sizes[0] += len(chunk)
            progress.update(f"sending the image {reference}, {sizes[0] >> 20} MiB so far")
            yield chunk

    context.control.blob_send(arguments["blob"], counted(containers(context).image_save(reference)), progress)
    return {"blob": arguments["blob"], "sha256": digest.hexdigest(), "size_bytes": sizes[0]}


def _load(context: PlaneContext, reference: str, archive: Data, progress: Progress) -> None:
    """Fetches the archive, checked by its sum, and loads it; the file does not stay."""
    name = f"container-{archive['sha256'][:16]}.tar"
    if "/" in name:
        raise Refused("The archive's checksum is not one.")
    path = Path(context.config.image_cache) / name
    fetch = context.control.blob_fetch if archive.get("blob") else context.control.image_fetch
    source = archive.get("blob") or uuid_check(archive["image"])
    try:
        fetch(source, archive["sha256"], int(archive["size_bytes"]), path, progress)
        progress.update(f"loading {reference}", at_once=True)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            containers(context).image_load(file, reference)
    finally:
        with suppress(FileNotFoundError):
            path.unlink()


__all__ = ["container_renewal", "container_volumes"]  # their effects come with these
