"""The tick counters of the lab's guests, read from their serial logs on disk while they move."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK = re.compile(rb"STOWAGE tick (\d+)\r?\n")
_LOGS = "lab/hosts/{host}/libvirt-log/qemu/{uuid}-serial.log"
POLL_S = 0.02


@dataclass(frozen=True)
class Handover:
    """Where a guest's count went over from one host's log to the other's."""

    last_at_source: int
    first_at_target: int
    seconds_between: float


class TickWatch:
    """Notes when each tick was first seen in which log. Use as a context manager around the moves."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._seen: dict[tuple[str, str], dict[int, float]] = {}  # (host, uuid) -> tick -> when it was seen
        self._sizes: dict[Path, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> TickWatch:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_S):
            for path in self._data_dir.glob(_LOGS.format(host="*", uuid="*")):
                self._note(path)

    def _note(self, path: Path) -> None:
        size = path.stat().st_size
        if self._sizes.get(path) == size:
            return
        self._sizes[path] = size
        key = (path.parents[2].name, path.name.removesuffix("-serial.log"))
        now, seen = time.monotonic(), self._seen.setdefault(key, {})
        for number in _TICK.findall(path.read_bytes()):
            seen.setdefault(int(number), now)

    def wait_for(self, arrivals: Iterable[tuple[str, str]], limit_s: float = 60.0) -> None:
        """Returns when each guest, by uuid and target, has counted there; on a busy machine that takes seconds."""
        until = time.monotonic() + limit_s
        while silent := [pair for pair in arrivals if not self._seen.get((pair[1], pair[0]))]:
            assert time.monotonic() < until, f"These guests do not count where they were moved to: {silent}"
            time.sleep(POLL_S)

    def handover(self, uuid: str, source: str, target: str) -> Handover:
        """How the guest's count went on. Both logs must have been written while watched."""
        before, after = self._seen[source, uuid], self._seen[target, uuid]
        last, first = max(before), min(after)
        return Handover(last, first, after[first] - before[last])

    def count(self, uuid: str, source: str, target: str) -> list[int]:
        """All ticks of the guest as its two logs tell them one after the other."""
        logs = [self._data_dir / _LOGS.format(host=host, uuid=uuid) for host in (source, target)]
        # A line may have begun on one host and ended on the other.
        return [int(number) for number in _TICK.findall(b"".join(log.read_bytes() for log in logs))]
