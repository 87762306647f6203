"""Effects on a host's container images by themselves, and the login that a pull is given."""

from __future__ import annotations

from typing import Any

from hosts.errors import Invalid
from hosts.plane.context import PlaneContext
from hosts.plane.effects import effect
from hosts.plane.progress import Progress
from workloads.drivers.base import RegistryLogin
from workloads.drivers.references import registry_of
from workloads.drivers.specs import reference_check
from workloads.effects.drivers import containers

Data = dict[str, Any]
STALL_LEAST_S, STALL_MOST_S = 1.0, 3600.0


def login_of(context: PlaneContext, arguments: Data) -> RegistryLogin | None:
    """The login that the command refers to, its password fetched now; None where it names none."""
    login = arguments.get("login")
    if not login:
        return None
    address = str(login["address"])
    if address != registry_of(reference_check(arguments["image"])):
        raise Invalid("The command's login is for another registry than the image's.")
    return RegistryLogin(address, str(login["username"]), context.control.secret(login["secret"]))


@effect("container.image_pull", lane="long", brings_work=True)
def container_image_pull(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """The image as its registry has it now, also where the host has one of that name. Undo: none, as it is harmless."""
    reference = reference_check(arguments["image"])
    stall_timeout_s = min(max(float(arguments["stall_timeout_s"]), STALL_LEAST_S), STALL_MOST_S)
    progress.beat_every(1.0)
    with context.locks.wait(f"container image {reference}", lambda: not progress.is_aborted()) as held:
        if not held:
            progress.check()
        progress.update(f"pulling {reference}", at_once=True)
        login = login_of(context, arguments)
        layers = containers(context).image_pull(reference, progress, login, stall_timeout_s)
    return {"image_id": containers(context).image_id(reference), "layers": layers}


@effect("container.image_remove", lane="short")
def container_image_remove(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
    """Undo: none; it can be pulled again, and it is the only step of its operation."""
    engine_id = str(arguments["engine_id"])
    reference_check(engine_id)  # of the same letters, and short
    containers(context).image_remove(engine_id)
    return {}
