"""Child processes that die with their parent, whatever kills it; and sessions that are ended as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(parent_pid: int) -> None:
    """Makes the kernel kill this process when the thread that started it ends; exits if it ended already.

    The parent must start its children from its main thread: the signal comes when the *thread* dies.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent_pid:
        os._exit(1)


def session_end(leader_pid: int) -> None:
    """Kills the process and all that is left of its session: jobs in the background too, which no hang-up reaches."""
    for pid in [leader_pid, *_session_of(leader_pid)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _session_of(leader_pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # Source: proc(5): the session is the sixth field, the fourth behind the name in brackets
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == leader_pid:
                    found.append(int(entry.name))
    return found
