"""Container images on one host: there, pulled, removed, loaded from an archive, or saved into one."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import docker

from hosts.drivers.docker_errors import ENGINE_ERRORS, status_of
from hosts.drivers.docker_host import DockerHost
from hosts.errors import NotFound, Refused, Rejected
from workloads.drivers.base import RegistryLogin, Running
from workloads.drivers.docker_pull import pull_follow

LOAD_TIMEOUT_S = 300.0
_SAVED_MARKS = ("manifest.json", "index.json", "repositories")


def image_id(host: DockerHost, reference: str) -> str | None:
    """The engine's id of the image, or None when the engine has none of that name."""
    with host.calls("look for the container image") as client:
        try:
            return str(client.inspect_image(reference)["Id"])
        except ENGINE_ERRORS as error:
            if status_of(error) == 404:
                return None
            raise


def pull(
    host: DockerHost, reference: str, running: Running, login: RegistryLogin | None, stall_timeout_s: float
) -> list[dict[str, Any]]:
    """Ensures the image as its registry has it now; raises as `pull_follow`."""
    layers = pull_follow(host, reference, running, login, stall_timeout_s)
    if image_id(host, reference) is None:
        raise Rejected(f"The pull of {reference} ended, yet the image is not there.")
    return layers


def remove(host: DockerHost, engine_id: str) -> None:
    """Ensures that the image and all its names are gone; Refused while a container uses it, running or not."""
    with host.calls("remove the container image") as client:
        try:
            image = client.inspect_image(engine_id)
        except ENGINE_ERRORS as error:
            if status_of(error) == 404:
                return
            raise
        names = image.get("RepoTags") or []
        label = names[0] if names else engine_id.removeprefix("sha256:")[:12]
        # First, so that an image with several names does not lose some of them and stay.
        users = [row["Names"][0].lstrip("/") for row in client.containers(all=True) if row["ImageID"] == image["Id"]]
        if users:
            raise Refused(f"{label} is used by {', '.join(sorted(users)[:5])}. Delete what is made from it first.")
        # By name and never by force: the engine then refuses by itself what came into use meanwhile.
        for name in [*names, image["Id"]]:
            try:
                client.remove_image(name)
            except ENGINE_ERRORS as error:
                if status_of(error) == 409:
                    raise Refused(
                        f"{label} is in use now, or other images are built on it.", str(error)[:500]
                    ) from error
                if status_of(error) != 404:
                    raise


def load(host: DockerHost, file: BinaryIO, reference: str) -> None:
    """Ensures `reference` from an archive: an image saved by an engine, or a bare root file system."""
    try:
        is_saved = _is_saved_image(file)
    except tarfile.TarError as error:
        raise Refused("The image's archive is damaged or no archive at all. Import it again.", str(error)) from error
    file.seek(0)
    repository, tag = docker.utils.parse_repository_tag(reference)
    with host.calls(f"load the container image {reference}") as client:
        if is_saved:
            parameters, path = {"quiet": "1"}, "/images/load"
        else:
            parameters, path = {"fromSrc": "-", "repo": repository, "tag": tag or "latest"}, "/images/create"
        response = client.post(
            f"{client.base_url}/v{client.api_version}{path}",
            params=parameters,
            data=file,
            headers={"Content-Type": "application/x-tar"},
            timeout=(10.0, LOAD_TIMEOUT_S),
        )
        response.raise_for_status()
        words = [json.loads(line) for line in response.iter_lines() if line.strip()]
        if failed := [word["error"] for word in words if "error" in word]:
            raise Rejected(f"The engine could not load the image {reference}.", str(failed)[:1000])
        _tag_ensure(client, reference, repository, tag or "latest", words)


def save(host: DockerHost, reference: str) -> Iterator[bytes]:
    """The image as an archive, in chunks; raises NotFound before the first when the engine has none."""
    if image_id(host, reference) is None:
        raise NotFound(f"The container image {reference} is not on the host.")
    return _save_chunks(host, reference)


def _save_chunks(host: DockerHost, reference: str) -> Iterator[bytes]:
    with host.calls(f"save the container image {reference}") as client:
        yield from client.get_image(reference)


def _is_saved_image(file: BinaryIO) -> bool:
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        return any(member.name.lstrip("./") in _SAVED_MARKS for member in archive)


def _tag_ensure(
    client: docker.APIClient, reference: str, repository: str, tag: str, words: list[dict[str, Any]]
) -> None:
    """Gives the loaded image its name, where the archive carried another or none."""
    try:
        client.inspect_image(reference)
        return
    except ENGINE_ERRORS as error:
        if status_of(error) != 404:
            raise
    text = " ".join(str(word.get("stream") or word.get("status") or "") for word in words)
    loaded = [part for part in text.split() if part.startswith("sha256:") or ":" in part.strip(":")]
    if len(loaded) != 1:
        raise Rejected(f"The archive holds {len(loaded)} images; it is unclear which of them is {reference}.", text)
    client.tag(loaded[0], repository, tag)
