"""Stamp files: whether a set-up step was finished for exactly these inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest_of(parts: Iterable[str | Path]) -> str:
    """One hash over texts and the content of files; a folder counts with every file in it, names included."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            whole.update(f"text {part}\n".encode())
            continue
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for path in files:
            content = path.read_bytes() if path.exists() else b""
            whole.update(f"file {path.name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return whole.hexdigest()


class Stamp:
    """Remembers the inputs of the last *finished* run of one step.

    `clear` before the step begins and `set` after it ended: a step that was interrupted has no stamp, so
    what it half made is made anew.
    """

    def __init__(self, folder: Path, step: str) -> None:
        self._path = folder / step

    def is_set(self, digest: str) -> bool:
        return self._path.exists() and self._path.read_text().strip() == digest

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def set(self, digest: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(digest + "\n")
