"""`manage.py up`: what `make up` runs, from the prerequisites to the last part's end."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from datacenter.run.layout import CHECKOUT, Layout, layout_make
from datacenter.run.sequence import Run
from datacenter.run.service_user import assert_readable, service_user
from datacenter.run.supervisor import say
from hosts.errors import Refused, StowageError

# What an operator may set from outside; sudo would drop it.
PASSED_ON = (
    "REDIS_URL",
    "PLANE_BROKER_URL",
    "METRICS_URL",
    "METRICS_LONG_URL",
    "DATABASE_URL",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "STOWAGE_BEHIND_TLS",
    "STOWAGE_CACHE_DIR",
    "TZ",
)


def main(arguments: Sequence[str]) -> int:
    """Exit status, when everything has been stopped again. Blocks until then."""
    asked = arguments_read(arguments)
    data_dir = Path(asked.data_dir).resolve()
    if os.geteuid() != 0 and needs_root(asked.lab, data_dir):
        return as_root(arguments)
    try:
        user = service_user()
        assert_readable(user, [CHECKOUT / "manage.py", CHECKOUT / ".venv/bin/python", CHECKOUT / "node_modules"])
        layout = layout_make(data_dir, user)
        lock = lock_take(layout)
    except StowageError as error:
        say(error.message)
        return 2
    with lock:
        return Run(layout, user, asked.port, asked.lab, asked.open_lab_address).run()


def arguments_read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="manage.py up", description="Runs Stowage in the foreground.")
    parser.add_argument("--lab", type=int, default=4, metavar="N", help="hosts of the lab; 0: no lab")
    parser.add_argument("--port", type=int, default=8400, help="of the dashboard; the next free one is taken")
    parser.add_argument("--data-dir", default=str(CHECKOUT / ".stowage"))
    parser.add_argument(
        "--open-lab-address", action="store_true", help="serve the pages on the lab's address too, not only its API"
    )
    return parser.parse_args(arguments)


def needs_root(lab_hosts: int, data_dir: Path) -> bool:
    """Whether this run must be root's: it has a lab, or root made the data directory earlier."""
    made_by_root = data_dir.exists() and (data_dir / "run").exists() and (data_dir / "run").stat().st_uid == 0
    return lab_hosts > 0 or made_by_root


def as_root(arguments: Sequence[str]) -> int:
    """Replaces this process by the same command under sudo; comes back only where there is no sudo."""
    if not shutil.which("sudo"):
        say("The lab makes namespaces and needs root: run this as root, install sudo, or start with LAB=0.")
        return 2
    kept = f"--preserve-env={','.join(PASSED_ON)}"
    say("The lab makes namespaces and needs root; everything else runs as you. Asking sudo:")
    os.execvp("sudo", ["sudo", kept, sys.executable, str(CHECKOUT / "manage.py"), "up", *arguments])


def lock_take(layout: Layout) -> TextIO:
    """The open lock of the data directory, held until this process ends. Raises Refused when a run holds it."""
    lock = (layout.run / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Refused(f"Stowage runs already in {layout.data_dir}. `make down` stops it.") from None
    return lock
