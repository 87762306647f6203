"""What a container is given of its host's disk: named volumes of its engine, and folders that the host allows."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from hosts.errors import Invalid, Refused

VOLUMES_MOST = 32
PATH_MOST = 300
VOLUME_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,62}")
_OF_NO_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class VolumeSpec:
    """One mount: a named volume, or with kind "bind" a folder of the host, at `target` inside."""

    source: str
    target: str
    kind: Literal["volume", "bind"] = "volume"
    is_read_only: bool = False

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> VolumeSpec:
        """Judged; raises Invalid with a sentence for the operator."""
        source, target, kind = str(data.get("source") or ""), str(data.get("target") or ""), data.get("kind", "volume")
        if kind == "volume":
            if not VOLUME_NAME.fullmatch(source):
                raise _invalid(
                    "A volume's name begins with a letter or digit and has 2 to 63 letters, digits, dots, dashes or"
                    " underscores."
                )
        elif kind != "bind" or not _is_plain_path(source):
            raise _invalid("A folder of the host is named by its full path, without “..”, such as /srv/shared.")
        if not _is_plain_path(target) or target == "/":
            raise _invalid("Inside the container a volume has a full path, without “..”, such as /data.")
        return cls(source, target, kind, data.get("is_read_only") is True)


def volumes_from(data: Any) -> tuple[VolumeSpec, ...]:
    """The mounts of one container, judged together."""
    listed = [] if data is None else data
    if not isinstance(listed, list | tuple) or not all(isinstance(each, dict) for each in listed):
        raise _invalid("A container's volumes are a list, each with a source and a target.")
    found = tuple(VolumeSpec.from_data(each) for each in listed)
    if len(found) > VOLUMES_MOST:
        raise _invalid(f"A container has at most {VOLUMES_MOST} volumes.")
    if len({volume.target for volume in found}) < len(found):
        raise _invalid("Two volumes have the same path inside the container.")
    return found


def volumes_known(data: Iterable[dict[str, Any]]) -> list[VolumeSpec]:
    """Those of an observation that a container may be given; others are passed over."""
    found = []
    for each in data:
        with suppress(Invalid):
            found.append(VolumeSpec.from_data(each))
    return found


def names_of(volumes: Iterable[VolumeSpec]) -> list[str]:
    """The named volumes, each once."""
    return sorted({volume.source for volume in volumes if volume.kind == "volume"})


def mounts_read(detail: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The mounts of an inspected container as data of VolumeSpecs, and a sentence for each that is none."""
    known: list[dict[str, Any]] = []
    strange: list[str] = []
    for mount in detail.get("Mounts") or []:
        kind, target = mount.get("Type"), mount.get("Destination", "")
        if kind == "volume" and _OF_NO_NAME.fullmatch(str(mount.get("Name") or "")):
            strange.append(f"Its volume at {target} has no name.")
        elif kind == "volume" and mount.get("Driver", "local") != "local":
            strange.append(f"Its volume at {target} is kept by {mount['Driver']}, which Stowage does not know.")
        elif kind in ("volume", "bind"):
            source = mount.get("Name") if kind == "volume" else mount.get("Source")
            known.append(
                {"kind": kind, "source": str(source), "target": target, "is_read_only": mount.get("RW") is False}
            )
        else:
            strange.append(f"It has a mount of kind {kind} at {target}, which Stowage does not make.")
    return known, strange


def bind_check(source: str, allowed: Iterable[str], *, is_local: bool = True) -> str:
    """The real path of a folder that may be given to containers; raises Refused.

    Symbolic links and ".." are followed first, so that no name inside an allowed folder leads out of it.
    """
    if not is_local:
        raise Refused("Folders of a host are given to containers only where hostd runs on the host itself.")
    real = os.path.realpath(source)
    roots = [os.path.realpath(root) for root in allowed]
    if not any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots if root != "/"):
        raise Refused(
            f"The folder {source} may not be given to containers: it is not within the host's list (bind_paths)."
        )
    if not os.path.isdir(real):
        raise Refused(f"There is no folder {source} on the host.")
    return real


def _is_plain_path(path: str) -> bool:
    return (
        path.startswith("/")
        and not path.startswith("//")
        and posixpath.normpath(path) == path
        and len(path) <= PATH_MOST
        and path.isprintable()
        and ":" not in path
        and "," not in path
    )


def _invalid(sentence: str) -> Invalid:
    return Invalid(sentence, field="volumes")
