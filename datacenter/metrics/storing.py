"""Samples on their way to the store: kept while it is away, bounded, the oldest dropped and counted.

A store that thinks long must not make pages wait, so one thread of its own writes. What is behind is known by
position: after a crash the collector reads again what was not stored.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hosts.errors import DriverError

log = logging.getLogger(__name__)

UNSENT_MOST = 1_500_000  # samples, about 200 MB
BODY_BYTES = 8 * 1024 * 1024
PAUSE_S = 1.0
GATHER_S = 0.25  # a request for each message would cost more than what it carries

Position = Mapping[str, str]


@dataclass(frozen=True)
class _Batch:
    body: bytes
    count: int
    position: Position


class Storing:
    """Takes lines from one thread and writes them from another.

    Args:
        write: stores a body of lines; raises DriverError while the store is away.
    """

    def __init__(self, write: Callable[[bytes], None], most: int = UNSENT_MOST) -> None:
        self._write = write
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[_Batch] = deque()
        self._news = threading.Event()
        self._was_away = False
        self.unsent = 0
        self.stored = 0
        self.dropped = 0
        self.position: Position = {}  # everything before it is stored, or dropped

    def put(self, lines: Sequence[str], position: Position) -> None:
        """Takes lines; `position` is where the collector goes on once they are stored."""
        batch = _Batch("".join(lines).encode(), len(lines), dict(position))
        with self._lock:
            self._waiting.append(batch)
            self.unsent += batch.count
            while self.unsent > self._most and len(self._waiting) > 1:
                self._drop_oldest()
        self._news.set()

    def _drop_oldest(self) -> None:
        batch = self._waiting.popleft()
        self.unsent -= batch.count
        self.dropped += batch.count
        self.position = batch.position

    def flush(self) -> bool:
        """Whether everything that waited is stored; blocks for as long as the store takes."""
        while batches := self._oldest():
            body = b"".join(batch.body for batch in batches)
            try:
                if body:
                    self._write(body)
            except DriverError as error:
                if not self._was_away:
                    log.warning("%s Samples are kept.", error.message)
                self._was_away = True
                return False
            self._done(batches)
        if self._was_away:
            log.info("The metrics store takes samples again; %d were dropped so far.", self.dropped)
        self._was_away = False
        return True

    def _oldest(self) -> list[_Batch]:
        """The oldest batches, as many as fit into one request; they stay in the queue."""
        taken: list[_Batch] = []
        size = 0
        with self._lock:
            for batch in self._waiting:
                if taken and size + len(batch.body) > BODY_BYTES:
                    break
                taken.append(batch)
                size += len(batch.body)
        return taken

    def _done(self, batches: list[_Batch]) -> None:
        with self._lock:
            for batch in batches:
                self.stored += batch.count
                if self._waiting and self._waiting[0] is batch:  # else it was dropped while it was being written
                    self._waiting.popleft()
                    self.unsent -= batch.count
                    self.position = batch.position

    def run(self, stop: threading.Event) -> None:
        """Writes until `stop`, then once more."""
        while not stop.is_set():
            if self._news.wait(0.5):
                stop.wait(GATHER_S)
            self._news.clear()
            if not self.flush():
                stop.wait(PAUSE_S)
                self._news.set()
        self.flush()
