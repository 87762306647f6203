"""Keeping the lanes' processes alive: started anew when they end, each time a little later."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

BACKOFF_MAX_S = 30.0
HEALTHY_AFTER_S = 60.0
STOP_GRACE_S = 8.0
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class LaneProcess:
    """One lane's process. `arguments` follow `python -m hosts.plane.hostd`; the broker's URL goes in by stdin,
    where no process list shows it."""

    lane: str
    arguments: list[str]
    broker_url: str
    process: subprocess.Popen[bytes] | None = None
    backoff_s: float = field(default=0.5)
    due_at: float = 0.0
    started_at: float = 0.0

    def tend(self) -> None:
        """Starts the process when it is due, and notes its end. For the main thread alone (PR_SET_PDEATHSIG)."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            self._ended(now)
        if self.process is None and now >= self.due_at:
            self._start(now)

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self, deadline: float) -> None:
        """Waits for the end until `deadline` (monotonic), then kills."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("The lane %s still works on something and is killed.", self.lane)
            self.process.kill()
            self.process.wait()
        self._forget()

    def _start(self, now: float) -> None:
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])])
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        parent = ["--parent", str(os.getpid())]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hosts.plane.hostd", *self.arguments, "--lane", self.lane, *parent],
            stdin=subprocess.PIPE,
            env=environment,
        )
        self.started_at = now
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(self.broker_url.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            log.warning("The lane %s ended before it began.", self.lane)

    def _ended(self, now: float) -> None:
        assert self.process is not None
        lived_s = now - self.started_at
        self.backoff_s = 0.5 if lived_s > HEALTHY_AFTER_S else min(self.backoff_s * 2, BACKOFF_MAX_S)
        self.due_at = now + self.backoff_s
        log.warning(
            "The lane %s ended with %s after %.0f s; it starts again in %.1f s.",
            self.lane,
            self.process.returncode,
            lived_s,
            self.backoff_s,
        )
        self._forget()

    def _forget(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                log.debug("The lane %s left its pipe unread.", self.lane)
        self.process = None


class Lanes:
    """All lanes of one plane."""

    def __init__(self, lanes: tuple[str, ...], arguments: list[str], broker_url: str) -> None:
        self._lanes = [LaneProcess(lane, arguments, broker_url) for lane in lanes]

    def tend(self) -> None:
        for lane in self._lanes:
            lane.tend()

    def stop(self) -> None:
        """Ends all lanes at once; a step that goes on longer than the grace is cut, and sent again later."""
        deadline = time.monotonic() + STOP_GRACE_S
        for lane in self._lanes:
            lane.ask_to_stop()
        for lane in self._lanes:
            lane.stop(deadline)
