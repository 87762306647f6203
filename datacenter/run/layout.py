"""Where things lie in the data directory, and who owns them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from datacenter.run.service_user import ServiceUser
from hosts.errors import Refused

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layout:
    """Paths of one installation.

    The data directory itself is like /tmp: the service user makes and removes its own files in it and
    cannot replace those of root (`run`, `logs`, `lab`), which root later reads and runs.
    """

    data_dir: Path

    @property
    def env(self) -> Path:
        return self.data_dir / "env"

    @property
    def first_login(self) -> Path:
        """Holds the generated password for as long as it is valid."""
        return self.data_dir / "first-login"

    @property
    def run(self) -> Path:
        """Pid records and the lock; the supervisor's."""
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def lab(self) -> Path:
        return self.data_dir / "lab"

    @property
    def redis(self) -> Path:
        return self.data_dir / "redis"

    def metrics(self, which: str) -> Path:
        """Folder of the `raw` or the `long` store."""
        return self.data_dir / f"metrics-{which}"


def layout_make(data_dir: Path, user: ServiceUser) -> Layout:
    """The layout with its folders made, and mended where an earlier run had other owners.

    Raises Refused when somebody else owns the directory.
    """
    layout = Layout(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        for folder in (layout.run, layout.logs):
            folder.mkdir(exist_ok=True, mode=0o755)
    except PermissionError as error:
        raise Refused(f"{user.name!r} cannot write in {data_dir}, which another user made. Use sudo.") from error
    if user.switch:
        os.chown(data_dir, 0, user.gid)
        data_dir.chmod(0o755 | stat.S_ISVTX | stat.S_IWGRP)
        for folder in (layout.run, layout.logs):
            os.chown(folder, 0, 0)
    for folder in (layout.redis, layout.metrics("raw"), layout.metrics("long")):
        folder.mkdir(exist_ok=True, mode=0o700)
        if user.switch:
            os.chown(folder, user.uid, user.gid, follow_symlinks=False)
    return layout
