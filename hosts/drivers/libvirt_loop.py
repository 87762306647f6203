"""Libvirt's event loop: one thread for each process, started before its first connection, never stopped.

Without a running loop neither keepalive nor events work (pitfalls M19), and stopping one right after a
connection closed is not safe. A forked child inherits the registration but not the thread, and cannot
register anew: so a process that forks must not open a connection before it does.
"""

from __future__ import annotations

import logging
import os
import threading

import libvirt

from hosts.errors import DriverError

log = logging.getLogger(__name__)

_lock = threading.Lock()
_running_in_pid: int | None = None


def loop_ensure() -> None:
    """Ensures the running loop of this process; raises DriverError in a child of a process that has one."""
    global _running_in_pid
    with _lock:
        if _running_in_pid == os.getpid():
            return
        if _running_in_pid is not None:
            raise DriverError(
                "This process was forked after libvirt was opened and cannot use it.",
                f"loop of pid {_running_in_pid} in pid {os.getpid()}",
            )
        libvirt.registerErrorHandler(_no_print, None)
        libvirt.virEventRegisterDefaultImpl()
        _running_in_pid = os.getpid()
        threading.Thread(target=_run, name="libvirt events", daemon=True).start()


def _run() -> None:
    while True:
        try:
            libvirt.virEventRunDefaultImpl()
        except libvirt.libvirtError:
            log.exception("The libvirt event loop stumbled")


def _no_print(context: object, error: object) -> None:
    """Takes the place of libvirt's own handler, which prints every error to stderr."""
