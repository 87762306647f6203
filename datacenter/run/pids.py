"""Which processes a run started: recorded by pid and start time, so that a re-used pid is never mistaken."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process of this machine. `started_ticks`: clock ticks between the machine's boot and its start."""

    pid: int
    started_ticks: int
    boot_id: str


def process_now(pid: int) -> Process | None:
    """The process that has this pid now; None where there is none, or only a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself hold spaces and parentheses: count from the last one. proc(5).
    fields = status.rpartition(")")[2].split()
    if fields[0] in {"Z", "X"}:
        return None
    return Process(pid, int(fields[19]), Path("/proc/sys/kernel/random/boot_id").read_text().strip())


class PidBook:
    """The records of one data directory, one small file per part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self, part: str, pid: int) -> None:
        """Remembers that the part is this process. A process that is gone already is not recorded."""
        process = process_now(pid)
        if process is None:
            return
        written = self._folder / f".{part}.new"
        written.write_text(json.dumps(asdict(process)))
        written.replace(self._folder / f"{part}.json")

    def forget(self, part: str) -> None:
        (self._folder / f"{part}.json").unlink(missing_ok=True)

    def running(self) -> dict[str, Process]:
        """Recorded parts that run still; records of processes that ended are dropped."""
        found = {}
        for path in sorted(self._folder.glob("*.json")):
            process = read_record(path)
            if process is not None and process_now(process.pid) == process:
                found[path.stem] = process
            else:
                path.unlink(missing_ok=True)
        return found


def read_record(path: Path) -> Process | None:
    """The recorded process; None for a file that a power cut left empty or torn."""
    try:
        return Process(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def process_end(process: Process, patience_s: float) -> bool:
    """Asks the process to end and kills it after `patience_s`; True when it is gone. Blocks that long."""
    for sent, waits_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, 5.0)):
        if process_now(process.pid) != process:
            return True
        try:
            os.kill(process.pid, sent)
        except ProcessLookupError:
            return True
        until = time.monotonic() + waits_s
        while time.monotonic() < until:
            if process_now(process.pid) != process:
                return True
            time.sleep(0.05)
    return process_now(process.pid) != process
