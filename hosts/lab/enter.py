"""Commands run inside a lab host, as at its console."""

from __future__ import annotations

import os
import subprocess

from hosts.errors import NotFound
from hosts.lab.host_files import host_environment
from hosts.lab.lab_file import lab_file_read
from hosts.lab.layout import Layout


def enter_command(init_pid: int, command: list[str]) -> list[str]:
    """The command line that runs `command` in every namespace of a lab host's first process."""
    return ["nsenter", "--target", str(init_pid), "--mount", "--uts", "--net", "--pid", "--ipc", "--", *command]


def run_inside(
    init_pid: int, command: list[str], timeout_s: float = 60.0, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """The finished command with its output as text. Raises subprocess.TimeoutExpired."""
    return subprocess.run(
        enter_command(init_pid, command),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=host_environment(),
        check=False,
    )


def enter(layout: Layout, name: str, command: list[str]) -> int:
    """Becomes the command inside the host called `name`. Raises NotFound when it is not there or dark."""
    lab = lab_file_read(layout.lab_file)
    host = next((host for host in lab.get("hosts", []) if host["name"] == name), None)
    if host is None or not host["init_pid"] or host["power_state"] != "On":
        names = ", ".join(h["name"] for h in lab.get("hosts", []) if h["power_state"] == "On")
        raise NotFound(f"No host {name} is running in {layout.data_dir}. Running: {names or 'none'}.")
    environment = host_environment() | {"TERM": os.environ.get("TERM", "dumb")}
    os.execvpe("nsenter", enter_command(host["init_pid"], command or ["bash", "-l"]), environment)
