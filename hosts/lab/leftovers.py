"""What a lab leaves outside of its data directory, known by mark, and its removal.

Almost everything dies by itself with the supervisor: lab hosts hang on its power cord, the switch on its
descriptor. The rest is found by records that cannot be mistaken: a pid counts only with its start time.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from hosts.drivers import netlink
from hosts.lab import cgroups, mounts
from hosts.lab.layout import Layout, write_atomically


@dataclass(frozen=True)
class ProcessMark:
    """A process that stays recognisable after its pid was given to another."""

    pid: int
    start_ticks: int
    what: str

    def is_alive(self) -> bool:
        return start_ticks(self.pid) == self.start_ticks

    def signal(self, number: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone or a zombie. Source: proc(5)."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if after_name[0] == "Z" else int(after_name[19])


class ProcessRecord:
    """The processes that this lab started, in a file of its data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[ProcessMark]:
        try:
            return [ProcessMark(**entry) for entry in json.loads(self._path.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def note(self, pid: int, what: str) -> None:
        """Adds a process, in place of the earlier one with the same task."""
        ticks = start_ticks(pid)
        if ticks is not None:
            kept = [mark for mark in self.read() if mark.what != what]
            self._write([*kept, ProcessMark(pid, ticks, what)])

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def _write(self, marks: list[ProcessMark]) -> None:
        write_atomically(self._path, json.dumps([asdict(mark) for mark in marks]), mode=0o600)


def clean(layout: Layout, stop_supervisor: bool = False) -> list[str]:
    """Sentences about what was removed and what could not be. While a supervisor runs, only to stop it."""
    said = []
    record = ProcessRecord(layout.run_dir / "processes.json")
    marks = [mark for mark in record.read() if mark.pid != os.getpid()]
    if stop_supervisor:
        for mark in (mark for mark in marks if mark.what == "supervisor" and mark.is_alive()):
            mark.signal(signal.SIGTERM)
            _wait_for_end([mark], timeout_s=30)
            said.append("Stopped the lab that was running.")
    alive = [mark for mark in marks if mark.is_alive()]
    for mark in alive:
        mark.signal(signal.SIGKILL)
        said.append(f"Ended {mark.what} (pid {mark.pid}), left by an earlier run.")
    if still := _wait_for_end(alive, timeout_s=5):
        said.append(f"Could not end: {', '.join(f'{m.what} (pid {m.pid})' for m in still)}.")
    if not cgroups.group_remove(layout.cgroup):
        said.append(f"Could not remove the control group {layout.cgroup}.")
    if netlink.link_remove(layout.uplink):
        said.append(f"Removed the link {layout.uplink}.")
    for point in mounts.mounted_below(layout.data_dir):
        mounts.unmount(point)
        said.append(f"Unmounted {point}.")
    record.clear()
    return said


def _wait_for_end(marks: list[ProcessMark], timeout_s: float) -> list[ProcessMark]:
    deadline = time.monotonic() + timeout_s
    while (alive := [mark for mark in marks if mark.is_alive()]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive
