"""Network namespaces that live as long as somebody holds them, and work done inside of them.

The namespaces have no name in /run/netns on purpose: when their holder dies, in whatever way, the kernel takes
them and every link in them away, and nothing is left to clean.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
T = TypeVar("T")


def netns_make() -> int:
    """A descriptor of a new, empty network namespace, which lives until the descriptor is closed."""

    def make() -> int:
        _check(_libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _in_thread(make)


def in_netns(netns_fd: int, work: Callable[[], T]) -> T:
    """What `work()` gives when run in that namespace, in a thread of its own; its error is raised here."""

    def enter_and_work() -> T:
        _check(_libc.setns(netns_fd, CLONE_NEWNET))
        return work()

    return _in_thread(enter_and_work)


def netns_of(pid: int) -> int:
    """A descriptor of the network namespace that a process is in."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _in_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a new thread: a thread's namespace ends with it and touches no other thread."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001  handed over to the caller
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
