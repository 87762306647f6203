"""Names of container images, and the registries in them. Source: distribution's reference grammar, docker/docker-py."""

from __future__ import annotations

import re

DOCKER_HUB = "docker.io"
_HUB_NAMES = ("docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com")
_ADDRESS = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[1-9][0-9]{0,4})?|\[[0-9a-f:]{2,39}\](:[1-9][0-9]{0,4})?")


def registry_of(reference: str) -> str:
    """The registry's address in a reference, as it is stored: "docker.io" where the name begins with no address."""
    first, slash, _ = reference.partition("/")
    is_address = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return address_plain(first) if is_address else DOCKER_HUB


def address_plain(text: str) -> str:
    """An address as references begin: without scheme, path and capitals; the names of Docker Hub are one."""
    address = text.strip().lower().removeprefix("https://").removeprefix("http://").split("/")[0]
    return DOCKER_HUB if address in _HUB_NAMES else address


def is_address(text: str) -> bool:
    """Whether references may begin with it, so that an engine takes it for a registry."""
    host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    has_mark = "." in text or ":" in text or text == "localhost"
    return _ADDRESS.fullmatch(text) is not None and has_mark and (not host or not port or int(port) < 65536)
