"""Pulling a container image: its layers' progress, an end when the registry falls silent, and a sentence for each way
in which it can fail.

The engine passes on what the registry said as text alone, without a code, so that here and nowhere else the text is
looked at. None of these failures is transient: whoever asked for the pull asks again, not the machinery.
"""

from __future__ import annotations

import base64
import json
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import docker

from hosts.drivers.docker_errors import ENGINE_ERRORS, foreign_error
from hosts.drivers.docker_host import DockerHost
from hosts.errors import NotFound, Rejected, StowageError
from workloads.drivers.base import RegistryLogin, Running
from workloads.drivers.references import DOCKER_HUB, registry_of

STALL_TIMEOUT_S = 60.0  # without news; the connection stays open when a registry hangs
LAYERS_MOST = 200
_LISTEN_S = 0.25
_HUB_ADDRESS = "https://index.docker.io/v1/"
_TOO_MANY = ("toomanyrequests", "too many requests", "429")
_DENIED = ("unauthorized", "denied", "no basic auth", "authentication required", "incorrect username", " 401")
_UNKNOWN = ("manifest unknown", "not found", "name unknown", "does not exist", "no such image", " 404")
_SILENT = ("timeout", "deadline exceeded", "timed out")


def pull_follow(
    host: DockerHost,
    reference: str,
    running: Running,
    login: RegistryLogin | None,
    stall_timeout_s: float = STALL_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[dict[str, Any]]:
    """Follows a pull to its end; the layers, as in its progress.

    Raises Rejected or NotFound with what the registry said, or when it fell silent.

    A pull that ends here also ends in the engine: it gives one up whose asker is gone, and keeps no part of a layer.
    """
    pull = _Pull(host, reference, login, stall_timeout_s)
    layers = Layers()
    heard_at = clock()
    threading.Thread(target=pull.run, name="pull", daemon=True).start()
    try:
        while (word := pull.next_word()) is not _END:
            running.check()
            if word is not None and layers.take(word):
                heard_at = clock()
                running.update(f"pulling {reference}", layers.percent, layers.to_data(), at_once=layers.is_new)
            if clock() - heard_at > stall_timeout_s:
                raise Rejected(
                    f"The registry {registry_of(reference)} sent nothing for {stall_timeout_s:g} s; the pull of"
                    f" {reference} was given up. Try again when the registry answers."
                )
        if pull.failure is not None:
            raise pull.failure
        return layers.to_data()["layers"]
    finally:
        pull.stop()


class Layers:
    """The layers of an image on their way, folded from the engine's words."""

    def __init__(self) -> None:
        self._layers: dict[str, dict[str, Any]] = {}
        self.is_new = False

    def take(self, word: dict[str, Any]) -> bool:
        """Whether the word is news: engines repeat themselves, and count down to a new try, while nothing comes."""
        name, status = str(word.get("id") or "")[:20], str(word.get("status") or "")[:60]  # the last words have no id
        if status.startswith(("Retrying", "Waiting")):
            return False
        self.is_new = name not in self._layers
        if self.is_new and len(self._layers) >= LAYERS_MOST:
            return True
        layer = self._layers.setdefault(name, {"layer": name, "status": "", "done_bytes": 0, "total_bytes": 0})
        before = dict(layer)
        layer["status"] = status
        detail = word.get("progressDetail") or {}
        if status == "Downloading":
            layer["done_bytes"] = int(detail.get("current") or 0)
            layer["total_bytes"] = max(int(detail.get("total") or 0), layer["done_bytes"])
        elif status in ("Download complete", "Extracting", "Verifying Checksum", "Pull complete"):
            layer["total_bytes"] = layer["total_bytes"] or int(detail.get("total") or 0)
            layer["done_bytes"] = layer["total_bytes"]
            if status == "Extracting" and detail.get("total"):
                layer["status"] = f"Extracting {100 * int(detail.get('current') or 0) // int(detail['total'])} %"
        return self.is_new or layer != before

    @property
    def percent(self) -> float | None:
        """Of the bytes known so far; None before the first."""
        total = sum(layer["total_bytes"] for layer in self._layers.values())
        return 100.0 * sum(layer["done_bytes"] for layer in self._layers.values()) / total if total else None

    def to_data(self) -> dict[str, list[dict[str, Any]]]:
        # The first words are of the image itself and stand under its tag: they are no layer's.
        layers = [dict(layer) for layer in self._layers.values() if layer["layer"]]
        return {"layers": [layer for layer in layers if not layer["status"].startswith("Pulling from")]}


_END: dict[str, Any] = {}


class _Pull:
    """One request to the engine, read by a thread of its own: a silent registry keeps it waiting, and nobody else."""

    def __init__(self, host: DockerHost, reference: str, login: RegistryLogin | None, stall_timeout_s: float) -> None:
        self._url = host.url
        self._reference = reference
        self._login = login
        self._stall_timeout_s = stall_timeout_s
        self._words: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stopped = threading.Event()
        self._response: Any = None
        self.failure: StowageError | None = None

    def next_word(self) -> dict[str, Any] | None:
        """The next word, `_END` after the last, None when there is none just now."""
        with suppress(queue.Empty):
            return self._words.get(timeout=_LISTEN_S)
        return None

    def stop(self) -> None:
        """Hangs up. Before the engine's first word there is nothing to hang up by: the read's timeout ends it then."""
        self._stopped.set()
        with suppress(AttributeError, OSError):
            self._response.raw.connection.sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        try:
            self._ask()
        except ENGINE_ERRORS as error:
            self.failure = foreign_error(error, f"pull {self._reference}")
        except ValueError as error:
            self.failure = Rejected("The container engine's answer made no sense.", str(error)[:500])
        finally:
            self._words.put(_END)

    def _ask(self) -> None:
        repository, tag = docker.utils.parse_repository_tag(self._reference)
        client = docker.APIClient(base_url=self._url, version="auto", timeout=10)
        try:
            self._response = client.post(
                f"{client.base_url}/v{client.api_version}/images/create",
                params={"fromImage": repository, "tag": tag or "latest"},
                headers={"X-Registry-Auth": login_header(self._login)} if self._login else {},
                stream=True,
                timeout=(10.0, self._stall_timeout_s + 5),
            )
            if self._response.status_code >= 400:
                self.failure = refusal(self._response.text, self._reference, self._login is not None)
                return
            for line in self._response.iter_lines():
                if self._stopped.is_set():
                    return
                word = json.loads(line) if line.strip() else {}
                if "error" in word:
                    self.failure = refusal(str(word["error"]), self._reference, self._login is not None)
                    return
                if word:
                    self._words.put(word)
        finally:
            client.close()


def login_header(login: RegistryLogin) -> str:
    """X-Registry-Auth. Source: Docker Engine API, Authentication."""
    address = _HUB_ADDRESS if login.address == DOCKER_HUB else login.address
    words = {"username": login.username, "password": login.password, "serveraddress": address}
    return base64.urlsafe_b64encode(json.dumps(words).encode()).decode()


def refusal(text: str, reference: str, has_login: bool) -> StowageError:
    """Our error for what the registry told the engine."""
    registry, said, detail = registry_of(reference), text.lower(), text[:1000]

    def has(marks: tuple[str, ...]) -> bool:
        return any(mark in said for mark in marks)

    if has(_TOO_MANY):
        return Rejected(
            f"The registry {registry} has had too many requests and refuses more for now. Wait some minutes"
            f"{'' if has_login else ', or give it a login under Container images'}, then try again.",
            detail,
        )
    if has(_DENIED) and has_login:
        return Rejected(
            f"The registry {registry} does not let the user that Stowage has for it pull {reference}. Correct user and"
            " password under Container images, or check the name.",
            detail,
        )
    if has(_DENIED):
        return Rejected(
            f"The registry {registry} wants a login for {reference}. Give it one under Container images, or check the"
            " name.",
            detail,
        )
    if has(_UNKNOWN):
        return NotFound(
            f"There is no container image {reference} at the registry {registry}. Check its name and tag.", detail
        )
    if has(_SILENT):
        return Rejected(f"The registry {registry} did not answer in time. Try again when it does.", detail)
    return Rejected(
        f"The host does not have the container image {reference} and could not pull it from {registry}."
        " Check the name, or import the image into Stowage.",
        detail,
    )
