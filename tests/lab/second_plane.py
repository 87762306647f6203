"""A second host plane on a lab host's machine, under another name: how one machine comes to be enrolled twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.stack import CHECKOUT, Stack

_END_LIMIT_S = 30.0


@contextmanager
def second_plane(stack: Stack, host: str, name: str, token: str) -> Iterator[None]:
    """Runs `manage.py hostd` as `name` inside the lab host, with state of its own, until the block ends."""
    seen_inside = f"/var/lib/stowage/{name}"
    folder = stack.data_dir / "lab" / "hosts" / host / "stowage" / name
    folder.mkdir()
    (folder / "token").write_text(token + "\n")
    (folder / "hostd.json").write_text(json.dumps(_settings(stack, host, name, seen_inside)))
    inside = [sys.executable, "-m", "hosts.lab", "--data-dir", str(stack.data_dir / "lab"), "--enter", host, "--"]
    hostd = [sys.executable, str(CHECKOUT / "manage.py"), "hostd", "--config", f"{seen_inside}/hostd.json"]
    with (folder / "hostd.log").open("w") as log:
        plane = subprocess.Popen([*inside, *hostd], cwd=CHECKOUT, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        _end(plane)


def _settings(stack: Stack, host: str, name: str, folder: str) -> dict[str, object]:
    """Those of the host's own plane, but for the name and the places where it writes."""
    config_file = next(row["config_file"] for row in stack.lab["hosts"] if row["name"] == host)
    own = {"name": name, "token_file": f"{folder}/token", "state_dir": f"{folder}/state", "run_dir": f"{folder}/run"}
    return json.loads(Path(config_file).read_text()) | own


def _end(plane: subprocess.Popen[bytes]) -> None:
    """Ends hostd and what stands between it and us, which is one process group."""
    until = time.monotonic() + _END_LIMIT_S
    with suppress(ProcessLookupError):
        os.killpg(plane.pid, signal.SIGTERM)
        plane.wait(_END_LIMIT_S)
        while time.monotonic() < until:
            os.killpg(plane.pid, 0)
            time.sleep(0.05)
        os.killpg(plane.pid, signal.SIGKILL)
