"""The environment, read in one place. A wrong value stops the start with a sentence.

Values come from the process environment first and from `<data dir>/env` (written by the supervisor,
KEY=VALUE lines, readable by the service user only) second.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

CHECKOUT = Path(__file__).resolve().parent.parent


class BadEnvironment(SystemExit):
    """Stops the start; the sentence says which variable and what to do."""


def data_dir() -> Path:
    """Where this installation keeps what it must not lose."""
    return Path(os.environ.get("STOWAGE_DATA_DIR") or CHECKOUT / ".stowage").resolve()


def read_env_file(path: Path) -> dict[str, str]:
    """KEY=VALUE lines of the file, comments and blank lines passed over; empty where there is no file."""
    try:
        lines = path.read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


_file_values = read_env_file(data_dir() / "env")


def text(name: str, default: str = "") -> str:
    return os.environ.get(name) or _file_values.get(name) or default


def required(name: str, why: str) -> str:
    value = text(name)
    if not value:
        raise BadEnvironment(f"{name} is not set: {why}. Start with `make up`, or put it in {data_dir() / 'env'}.")
    return value


def whole_number(name: str, default: int, lowest: int = 0) -> int:
    value = text(name, str(default))
    if not value.isdigit() or int(value) < lowest:
        raise BadEnvironment(f"{name} is {value!r}: give a whole number of at least {lowest}.")
    return int(value)


def flag(name: str, default: bool = False) -> bool:
    value = text(name, "1" if default else "0").lower()
    if value not in {"0", "1", "true", "false", "yes", "no"}:
        raise BadEnvironment(f"{name} is {value!r}: give 1 or 0.")
    return value in {"1", "true", "yes"}


def url(name: str, default: str, schemes: tuple[str, ...]) -> str:
    value = text(name, default)
    if urlsplit(value).scheme not in schemes:
        raise BadEnvironment(f"{name} must be a URL that begins with one of {', '.join(schemes)}.")
    return value


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = text(name, default)
    if value not in choices:
        raise BadEnvironment(f"{name} is {value!r}: give one of {', '.join(choices)}.")
    return value


def listed(name: str, default: str = "") -> list[str]:
    """Comma-separated values, blanks dropped."""
    return [part.strip() for part in text(name, default).split(",") if part.strip()]
