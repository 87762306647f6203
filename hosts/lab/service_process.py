"""A program that runs beside the lab hosts, not in one: the BMC emulator and the site's plane."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from hosts.lab import cgroups
from hosts.lab.host_files import host_environment
from hosts.lab.layout import REPOSITORY

_GRACE_S = 5.0
_BACKOFF_MAX_S = 10.0


class ServiceProcess:
    """A program that is started again when it ends, and that dies with this process.

    Start and tend it from the main thread: the kernel ends it with the thread that started it.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        log: Path,
        group: str,
        owner: tuple[int, int] | None,
        on_start: Callable[[int, str], None],
    ) -> None:
        self.name, self.command, self.log, self.group, self.owner = name, command, log, group, owner
        self.on_start = on_start
        self._process: subprocess.Popen[bytes] | None = None
        self._backoff_s = 0.5
        self._started_at = 0.0
        self._due_at = 0.0

    def tend(self) -> None:
        """Starts the program when it does not run and its time has come."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            self._backoff_s = 0.5 if now - self._started_at > 30 else min(self._backoff_s * 2, _BACKOFF_MAX_S)
            self._due_at = now + self._backoff_s
            self._process = None
        if self._process is None and now >= self._due_at:
            self._start(now)

    def stop(self) -> None:
        """Ends the program and everything it started."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        cgroups.group_remove(self.group)

    def _start(self, now: float) -> None:
        groups = cgroups.group_make(self.group)
        rights = ["setpriv", "--pdeathsig", "KILL"]
        if self.owner is not None:
            rights += ["--reuid", str(self.owner[0]), "--regid", str(self.owner[1]), "--clear-groups"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*cgroups.join_command(groups), *rights, "--", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=host_environment(),
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self._started_at = now
        self.on_start(self._process.pid, self.name)
