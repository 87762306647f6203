"""`manage.py down`: stops a run from another terminal, and cleans up after one that was killed."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.pids import PidBook, process_end
from datacenter.run.sequence import leftovers_end
from datacenter.run.supervisor import say

_PATIENCE_S = 90.0


def main(arguments: Sequence[str]) -> int:
    """Exit status; when it returns 0 nothing of the run is left but, without --purge, its data."""
    parser = argparse.ArgumentParser(prog="manage.py down", description="Stops Stowage and its lab.")
    parser.add_argument("--data-dir", default=str(CHECKOUT / ".stowage"))
    parser.add_argument("--purge", action="store_true", help="remove the data directory too")
    asked = parser.parse_args(arguments)
    layout = Layout(Path(asked.data_dir).resolve())
    if not layout.run.exists():
        say("Nothing runs here.")
    elif os.geteuid() != 0 and layout.run.stat().st_uid != os.geteuid():
        return _as_root(arguments)
    else:
        _stop(layout)
    if asked.purge and layout.data_dir.exists():
        shutil.rmtree(layout.data_dir)
        say(f"Removed {layout.data_dir}.")
    return 0


def _stop(layout: Layout) -> None:
    book = PidBook(layout.run)
    supervisor = book.running().get("supervisor")
    if supervisor is not None and process_end(supervisor, _PATIENCE_S):
        say("Stopped the run.")
    leftovers_end(layout, book)


def _as_root(arguments: Sequence[str]) -> int:
    if not shutil.which("sudo"):
        say("This run was root's: stop it as root.")
        return 2
    os.execvp("sudo", ["sudo", sys.executable, str(CHECKOUT / "manage.py"), "down", *arguments])
