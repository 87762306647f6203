"""The unprivileged user that everything but the lab runs as."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hosts.errors import Refused

_NAME = "stowage"


@dataclass(frozen=True)
class ServiceUser:
    """Who the services run as. `switch`: whether children must change to it (we are root)."""

    name: str
    uid: int
    gid: int
    switch: bool


def service_user() -> ServiceUser:
    """The invoking user, also behind sudo; for root itself the system user `stowage`, made if missing."""
    if os.geteuid() != 0:
        return _from_entry(pwd.getpwuid(os.getuid()), switch=False)
    caller = os.environ.get("SUDO_UID", "")
    if caller.isdigit() and int(caller) != 0:
        return _from_entry(pwd.getpwuid(int(caller)), switch=True)
    try:
        return _from_entry(pwd.getpwnam(_NAME), switch=True)
    except KeyError:
        pass
    subprocess.run(
        ["useradd", "--system", "--user-group", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin", _NAME],
        check=True,
    )
    return _from_entry(pwd.getpwnam(_NAME), switch=True)


def _from_entry(entry: pwd.struct_passwd, switch: bool) -> ServiceUser:
    return ServiceUser(entry.pw_name, entry.pw_uid, entry.pw_gid, switch)


def assert_readable(user: ServiceUser, paths: Iterable[Path]) -> None:
    """Raises Refused naming the first path that the user cannot read, and what to do about it."""
    if not user.switch:
        return
    for path in paths:
        asked = subprocess.run(
            ["/usr/bin/test", "-r", str(path)], user=user.uid, group=user.gid, extra_groups=[], check=False
        )
        if asked.returncode != 0:
            raise Refused(
                f"The services run as user {user.name!r}, who cannot read {path}. Move the checkout to a place "
                f"that every user can enter (for example /opt or /srv), or run make as an ordinary user with sudo."
            )
