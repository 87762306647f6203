"""How each fault is put into the running lab: kill, freeze, unplug, cut, redeliver. Codes: `../shared/faults.md`."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from hosts.lab.enter import enter_command
from hosts.lab.host_files import host_environment
from tests.lab.faults.failpoints import FILE
from tests.stack import Stack


def machine(stack: Stack, host: str) -> dict[str, Any]:
    """The host's entry in lab.json as it is now: a boot gives it another first process."""
    lab = json.loads((stack.data_dir / "lab" / "lab.json").read_text())
    return next(row for row in lab["hosts"] if row["name"] == host)


def run_inside(stack: Stack, host: str, script: str) -> str:
    """What a shell script printed that ran inside the host; its failure is none of ours."""
    command = enter_command(machine(stack, host)["init_pid"], ["sh", "-c", script])
    return subprocess.run(
        command, env=host_environment(), capture_output=True, text=True, timeout=60, check=False
    ).stdout


def pids_inside(stack: Stack, host: str, pattern: str) -> list[int]:
    """Process numbers, as this machine counts them, of the host's processes whose command line contains the text."""
    namespace = os.readlink(f"/proc/{machine(stack, host)['init_pid']}/ns/pid")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns" / "pid") == namespace:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if pattern in words:
                    found.append(int(entry.name))
        except OSError:
            continue
    return sorted(found)


def kill(pids: list[int]) -> None:
    """K: kill -9. At least one process must have been there, or nothing was broken."""
    assert pids, "there was no such process to kill"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Z: stopped for the time of the block, not dead."""
    assert pids, "there was no such process to freeze"
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def failpoint_set(stack: Stack, host: str, effect: str, act: str) -> Path:
    """FP: the next run of the effect on the host meets the fault. Gives the file, which is gone once it was met."""
    folder = Path(f"/proc/{machine(stack, host)['init_pid']}/root/run/stowage")
    path = folder / FILE
    fresh = folder / f"{FILE}.new"
    fresh.write_text(json.dumps({"effect": effect, "act": act}))
    fresh.rename(path)
    return path


def redeliver(stack: Stack, operation: str, step: str, times: int) -> None:
    """DUP: sends a step's command again, as it stands in the journal."""
    stack.manage(
        "shell",
        "-c",
        "from hosts.models import Entry; from hosts.operations.transport import CeleryTransport;"
        f"entry = Entry.objects.filter(operation='{operation}', step='{step}', kind='started').last();"
        f"[CeleryTransport().send(entry.data['queue'], entry.data['command']) for _ in range({times})]",
    )


@contextmanager
def database_locked(stack: Stack, seconds: float) -> Iterator[None]:
    """F59: somebody holds the database's write lock; freed after the seconds, or with the block."""
    with closing(sqlite3.connect(stack.database, timeout=20, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        began = time.monotonic()
        try:
            yield
            time.sleep(max(0.0, seconds - (time.monotonic() - began)))
        finally:
            connection.execute("rollback")


def redis_ask(stack: Stack, *words: str) -> str:
    """What the embedded Redis answered to a command of its administrator."""
    environment = dict(line.split("=", 1) for line in (stack.data_dir / "env").read_text().splitlines() if "=" in line)
    done = subprocess.run(
        ["redis-cli", "-u", environment["REDIS_URL"], "--no-auth-warning", *words],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout
