"""The lab as the supervisor sees it: what it says about itself, its hosts' tokens, and its leftovers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datacenter.run.env_file import private_write
from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.service_user import ServiceUser


@dataclass(frozen=True)
class LabFile:
    """The part of lab.json that the supervisor needs; where each host's and the site's token belongs."""

    path: Path
    supervisor_pid: int
    ready: bool
    subnet: str
    switch_address: str
    host_tokens: dict[str, Path]
    site_tokens: dict[str, Path]


def lab_file_read(layout: Layout) -> LabFile | None:
    """What the lab last wrote; None before the first time, and for a file that is not whole."""
    path = layout.lab / "lab.json"
    try:
        return lab_file_parse(path, json.loads(path.read_text()))
    except (OSError, ValueError, KeyError):
        return None


def lab_file_parse(path: Path, data: dict[str, Any]) -> LabFile:
    """Raises KeyError when a field is missing."""
    site = data["site_plane"]
    return LabFile(
        path=path,
        supervisor_pid=data["supervisor_pid"],
        ready=data["ready"],
        subnet=data["subnet"],
        switch_address=data["switch_address"],
        host_tokens={host["name"]: Path(host["token_file"]) for host in data["hosts"]},
        site_tokens={site["name"]: Path(site["token_file"])},
    )


def tokens_write(lab: LabFile, printed: str, user: ServiceUser) -> None:
    """Puts the tokens that `manage.py enrol_lab` printed where the lab's planes look for them."""
    tokens = json.loads(printed)
    for files, fresh in ((lab.host_tokens, tokens["hosts"]), (lab.site_tokens, tokens["sites"])):
        for name, path in files.items():
            private_write(path, fresh[name] + "\n", user)


def lab_clean(layout: Layout) -> list[str]:
    """Ends and removes what a lab left; what it said, line by line. Needs root; nothing where no lab was."""
    if not layout.lab.exists() or os.geteuid() != 0:
        return []
    cleaned = subprocess.run(
        [sys.executable, "-m", "hosts.lab", "--data-dir", str(layout.lab), "--clean"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    return (cleaned.stdout + cleaned.stderr).splitlines()
