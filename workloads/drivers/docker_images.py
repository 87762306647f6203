"""Container images on one host: there, pulled, loaded from an archive, or saved into one."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import docker
import requests

from hosts.drivers.docker_errors import ENGINE_ERRORS, foreign_error, status_of
from hosts.drivers.docker_host import DockerHost
from hosts.errors import NotFound, Refused, Rejected, TimedOut, Unreachable
from workloads.drivers.base import Running

STALL_TIMEOUT_S = 60.0  # silence after which a pull is given up: the connection stays open when a registry hangs
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


def pull(host: DockerHost, reference: str, running: Running) -> None:
    """Ensures the image from its registry, telling the layers' progress.

    Raises NotFound when the registry has no such image, TimedOut when it falls silent.
    """
    repository, tag = docker.utils.parse_repository_tag(reference)
    with host.calls(f"pull the container image {reference}") as client:
        # Through the client's own session, because its pull() has no read timeout and would wait for ever.
        response = client.post(
            f"{client.base_url}/v{client.api_version}/images/create",
            params={"fromImage": repository, "tag": tag or "latest"},
            stream=True,
            timeout=(10.0, STALL_TIMEOUT_S),
        )
        with response:
            _pull_check(response, reference)
            _pull_follow(response, reference, running)
    if image_id(host, reference) is None:
        raise Rejected(f"The pull of {reference} ended, yet the image is not there.")


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


def _pull_check(response: requests.Response, reference: str) -> None:
    if response.status_code == 404:
        raise NotFound(
            f"There is no container image {reference}, or its registry wants a login. Check the name.",
            response.text[:500],
        )
    if response.status_code >= 500:
        raise Unreachable(
            f"The host does not have the container image {reference} and cannot reach its registry."
            " Check the name, or import the image into Stowage.",
            response.text[:500],
        )
    if response.status_code >= 400:
        raise Rejected(f"The engine refused to pull {reference}.", response.text[:500])


def _pull_follow(response: requests.Response, reference: str, running: Running) -> None:
    layers: dict[str, tuple[int, int]] = {}
    try:
        for line in response.iter_lines():
            if not line.strip():
                continue
            running.check()
            word = json.loads(line)
            if "error" in word:
                raise Rejected(f"The pull of {reference} failed. Check the image name.", str(word["error"])[:500])
            detail = word.get("progressDetail") or {}
            if detail.get("total"):
                layers[word.get("id", "")] = (detail.get("current", 0), detail["total"])
            _tell(reference, layers, running)
    except ENGINE_ERRORS as error:
        mapped = foreign_error(error, f"pull {reference}")
        if isinstance(mapped, TimedOut):
            sentence = f"The registry of {reference} fell silent for {STALL_TIMEOUT_S:.0f} s; the pull was given up."
            raise TimedOut(sentence, mapped.detail) from error
        raise


def _tell(reference: str, layers: dict[str, tuple[int, int]], running: Running) -> None:
    total = sum(size for _, size in layers.values())
    done = sum(done for done, _ in layers.values())
    running.update(f"pulling {reference}", 100.0 * done / total if total else None)


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
