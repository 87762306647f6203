"""Locks that exclude the lanes' threads and processes from each other, and that die with their holder.

`flock` belongs to an open file, so two threads that open the file each exclude one another too, and the
kernel releases it when the process is killed: a free lock of a step that reads "running" means a dead run.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

POLL_S = 0.05


class Locks:
    """Named locks, one file each under `directory`, removed by whoever releases them last."""

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)
        self._directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def attempt(self, name: str) -> Iterator[bool]:
        """Holds the lock for the block, without waiting; yields whether it was free."""
        handle = self._take(name)
        try:
            yield handle is not None
        finally:
            self._release(name, handle)

    @contextmanager
    def wait(self, name: str, keep_waiting: Callable[[], bool]) -> Iterator[bool]:
        """Holds the lock for the block; asks `keep_waiting` at each poll and yields False when it said no."""
        handle = self._take(name)
        while handle is None and keep_waiting():
            time.sleep(POLL_S)
            handle = self._take(name)
        try:
            yield handle is not None
        finally:
            self._release(name, handle)

    def _path(self, name: str) -> Path:
        return self._directory / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _take(self, name: str) -> int | None:
        path = self._path(name)
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return None
            # The holder before us unlinks the file as it leaves: a lock on an unlinked file protects nothing.
            with suppress(FileNotFoundError):
                if os.fstat(handle).st_ino == os.stat(path).st_ino:
                    return handle
            os.close(handle)

    def _release(self, name: str, handle: int | None) -> None:
        if handle is not None:
            os.unlink(self._path(name))
            os.close(handle)
