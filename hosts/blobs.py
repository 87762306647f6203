"""Bytes that one plane leaves for another while an operation lasts, such as a container image without a registry."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from django.conf import settings

from hosts.errors import Refused
from hosts.models import Operation

SIZE_MOST_BYTES = 64 * 1024**3
_NAME = re.compile(r"([0-9a-f-]{36})\.[A-Za-z0-9_.-]{1,100}")
_OPEN = (Operation.State.QUEUED, Operation.State.RUNNING, Operation.State.UNDOING, Operation.State.STUCK)


def blob_path(operation: UUID, step: str) -> Path:
    return Path(settings.DATA_DIR) / "blobs" / f"{operation}.{step}"


def blob_keep(operation: UUID, step: str, chunks: Iterable[bytes]) -> tuple[str, int]:
    """Keeps the bytes in place of any that were there; their SHA-256 and size. Raises Refused past 64 GiB."""
    path = blob_path(operation, step)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    digest, size_bytes = hashlib.sha256(), 0
    try:
        with part.open("wb") as file:
            for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > SIZE_MOST_BYTES:
                    raise Refused("These are more bytes than one operation may leave here.")
                digest.update(chunk)
                file.write(chunk)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest(), size_bytes


def blobs_forget() -> int:
    """Removes the bytes of operations that have ended; how many files went."""
    folder = Path(settings.DATA_DIR) / "blobs"
    files = {path: name[1] for path in folder.glob("*") if (name := _NAME.fullmatch(path.name))}
    if not files:
        return 0
    still = {
        str(pk) for pk in Operation.objects.filter(pk__in=files.values(), state__in=_OPEN).values_list("pk", flat=True)
    }
    gone = [path for path, operation in files.items() if operation not in still]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)
