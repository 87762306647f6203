"""Verbs on a container that exists: end it at once, give it another name, set it aside for its successor.

A container set aside has the label of the one that takes its place; its name tells the two apart. Every look for a
container passes it over (`hosts.drivers.docker_host.is_set_aside`), so that nothing else finds two of one uuid.
"""

from __future__ import annotations

from typing import Any

import docker

from hosts.drivers.docker_errors import ENGINE_ERRORS, status_of
from hosts.drivers.docker_host import DockerHost, aside_name, inspect
from hosts.errors import NotFound, Refused


def kill(client: docker.APIClient, detail: dict[str, Any]) -> None:
    """Ensures that it does not run, without asking it first."""
    if detail["State"]["Status"] == "paused":
        client.unpause(detail["Id"])  # the engine signals no frozen process
    # The policy stays: what somebody ended, the engine starts again no sooner than with itself, as after a stop.
    try:
        client.kill(detail["Id"])
    except ENGINE_ERRORS as error:
        if status_of(error) not in (404, 409):  # gone, or off already
            raise
    client.wait(detail["Id"], timeout=10)


def rename(client: docker.APIClient, detail: dict[str, Any], name: str) -> None:
    """Ensures the name; Refused where another container of the host has it."""
    if detail["Name"].lstrip("/") == name:
        return
    try:
        client.rename(detail["Id"], name)
    except ENGINE_ERRORS as error:
        if status_of(error) == 409:
            raise Refused(f"The host already has a container named {name}. Choose another name.", str(error)) from error
        raise


def take_back(host: DockerHost, uuid: str, name: str) -> None:
    """Ensures that the container set aside for `uuid` has its name again, if there is one."""
    with host.calls("take the old container back") as client:
        kept = inspect(client, aside_name(uuid))
        if kept is not None:
            rename(client, kept, name)


def drop(host: DockerHost, uuid: str) -> None:
    """Ensures that none is set aside for `uuid`; one that runs is Refused. Its named volumes stay."""
    with host.calls("remove the old container") as client:
        kept = inspect(client, aside_name(uuid))
        if kept is None:
            return
        if kept["State"]["Running"]:
            raise Refused(f"The old container {aside_name(uuid)} runs again. Stop it first.")
        try:
            client.remove_container(kept["Id"], v=True)
        except ENGINE_ERRORS as error:
            if status_of(error) not in (404, 409):
                raise


def image_of(client: docker.APIClient, detail: dict[str, Any]) -> str:
    """The engine's id of the image that it runs from."""
    if not detail.get("Image"):
        raise NotFound("The engine does not tell the container's image.")
    return str(detail["Image"])
