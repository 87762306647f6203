"""One embedded part: a child process that lives and dies with the supervisor."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.pids import PidBook
from datacenter.run.service_user import ServiceUser

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOG_LIMIT_BYTES = 5 * 1024 * 1024
_LAST_LINES = 3
_STEADY_S = 60.0
_LONGEST_PAUSE_S = 30.0
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class PartSpec:
    """What a part runs. `wave`: parts of a higher wave are stopped before those of a lower one start to be."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    as_root: bool = False
    wave: int = 1
    patience_s: float = 10.0


def dies_with(parent_pid: int) -> Callable[[], None]:
    """What a child does between fork and exec: asks the kernel for SIGTERM when the supervisor is gone.

    It runs after the change of user, which would drop the request (prctl(2), PR_SET_PDEATHSIG).
    """

    def ask() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before we asked
            os._exit(1)

    return ask


def spawn(
    spec: PartSpec, user: ServiceUser, layout: Layout, output: int, errors: int | None = None
) -> subprocess.Popen[bytes]:
    """The started child, in a session of its own so that Ctrl-C reaches the supervisor alone."""
    as_service = user.switch and not spec.as_root
    return subprocess.Popen(
        spec.command,
        cwd=CHECKOUT,
        env=child_environment(os.environ, spec, layout),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output if errors is None else errors,
        start_new_session=True,
        user=user.uid if as_service else None,
        group=user.gid if as_service else None,
        extra_groups=[] if as_service else None,
        umask=0o022 if spec.as_root else 0o077,
        preexec_fn=dies_with(os.getpid()),  # the supervisor has one thread: safe
    )


def child_environment(ours: Mapping[str, str], spec: PartSpec, layout: Layout) -> dict[str, str]:
    """Our environment without traces of sudo and of root's home, with the part's own values on top."""
    kept = {name: value for name, value in ours.items() if not name.startswith("SUDO_")}
    fixed = {
        "HOME": str(layout.data_dir) if not spec.as_root else ours.get("HOME", "/root"),
        "STOWAGE_DATA_DIR": str(layout.data_dir),
        "NUMBA_CACHE_DIR": str(layout.data_dir / "numba-cache"),
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **fixed, **spec.environment}


def log_open(path: Path, user: ServiceUser) -> int:
    """A descriptor that appends to the log; a log grown too large becomes `<name>.1` first.

    The service user's group may read it, so that somebody who used sudo sees the logs without.
    """
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_name(path.name + ".1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
    if user.switch:
        os.fchown(descriptor, -1, user.gid)
    return descriptor


class Part:
    """Keeps one child running: starts it again after a pause that doubles while it keeps dying."""

    def __init__(self, spec: PartSpec, user: ServiceUser, layout: Layout, book: PidBook) -> None:
        self.spec = spec
        self._user = user
        self._layout = layout
        self._book = book
        self._child: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._pause_s = 0.0
        self._again_at: float | None = None
        self.deaths = 0

    @property
    def log(self) -> Path:
        return self._layout.logs / f"{self.spec.name}.log"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Starts the child. Raises OSError when its program cannot be run."""
        output = log_open(self.log, self._user)
        try:
            self._child = spawn(self.spec, self._user, self._layout, output)
        finally:
            os.close(output)
        self._book.record(self.spec.name, self._child.pid)
        self._began = time.monotonic()
        self._again_at = None

    def tend(self, now: float) -> str | None:
        """Looks after the child; a sentence when it has died, for the operator's terminal."""
        if self._again_at is not None and now >= self._again_at:
            self.start()
            return None
        if self._child is None or self._child.poll() is None:
            return None
        status = self._child.returncode
        self._child = None
        self.deaths += 1
        was_steady = now - self._began > _STEADY_S
        self._pause_s = 1.0 if was_steady else min(max(self._pause_s * 2, 1.0), _LONGEST_PAUSE_S)
        self._again_at = now + self._pause_s
        again = f"starting it again in {self._pause_s:.0f} s"
        return f"{self.spec.name} ended ({ending(status)}); {again}. {self.last_words()}"

    def last_words(self) -> str:
        """The log's last lines and where the rest is."""
        try:
            lines = self.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        last = [line.strip()[:300] for line in lines[-_LAST_LINES:]] or ["it wrote nothing"]
        return "\n  ".join([f"The end of {self.log}:", *last])

    def ask_to_end(self) -> None:
        self._again_at = None
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()

    def end(self, until: float) -> bool:
        """Waits for the child that was asked to end, kills it at `until` (monotonic); True when it had to."""
        if self._child is None:
            return False
        killed = False
        try:
            self._child.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            killed = True
        self._child = None
        self._book.forget(self.spec.name)
        return killed


def ending(status: int) -> str:
    """Words for an exit status of subprocess: negative means a signal."""
    return f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
