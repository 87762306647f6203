"""The file `<data dir>/env`: this installation's secrets, made once, and where its parts listen, at each start."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from pathlib import Path

from datacenter.run.service_user import ServiceUser

_HEADER = "# Written by `make up` at each start; the secrets are made once. Whoever reads this file is Stowage.\n"


def secrets_made(known: dict[str, str]) -> dict[str, str]:
    """The secrets of `known`, and new ones for those that it lacks."""
    fresh = {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "CREDENTIALS_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),  # Fernet's form
        "REDIS_PASSWORD": secrets.token_urlsafe(24),
        "METRICS_PASSWORD": secrets.token_urlsafe(24),
    }
    return {name: known.get(name) or value for name, value in fresh.items()}


def env_read(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of the file; empty where there is none. Raises OSError for a link in its place."""
    try:
        # Not through a link: the folder is writable for the service user, and root reads this.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as opened:
            lines = opened.read().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def env_write(path: Path, values: dict[str, str], user: ServiceUser) -> None:
    """Replaces the file as a whole, so that a crash leaves the old or the new one; readable by the user alone."""
    private_write(path, _HEADER + "".join(f"{name}={value}\n" for name, value in values.items()), user)


def private_write(path: Path, text: str, user: ServiceUser) -> None:
    """Writes a file that only the service user (and root) can read, at once or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
            if user.switch:
                os.fchown(opened.fileno(), user.uid, user.gid)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
