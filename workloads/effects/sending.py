"""A file of the host, left with the control plane for as long as the operation lasts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hosts.plane.context import PlaneContext
from hosts.plane.progress import Progress

CHUNK_BYTES = 1024 * 1024


def file_send(context: PlaneContext, file: Path, blob: str, what: str, progress: Progress) -> dict[str, Any]:
    """Sends the file to `blob`, saying that it sends `what`; its `sha256` and `size_bytes` as they were sent."""
    digest, size_bytes = hashlib.sha256(), file.stat().st_size

    def counted() -> Iterator[bytes]:
        sent = 0
        with file.open("rb") as opened:
            while chunk := opened.read(CHUNK_BYTES):
                progress.check()
                digest.update(chunk)
                sent += len(chunk)
                progress.update(f"sending {what}", 100.0 * sent / max(1, size_bytes))
                yield chunk

    context.control.blob_send(blob, counted(), progress)
    return {"sha256": digest.hexdigest(), "size_bytes": size_bytes}
