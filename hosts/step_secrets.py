"""The secrets that a step may fetch: one reader by kind, registered by the floor that keeps them."""

from __future__ import annotations

from collections.abc import Callable

from hosts.models import Entry

Reader = Callable[[Entry], str | None]
_READERS: dict[str, Reader] = {}


def secret_kind(kind: str) -> Callable[[Reader], Reader]:
    """Registers the reader of secrets of that kind. It gives None where there is none for the step."""

    def register(reader: Reader) -> Reader:
        _READERS[kind] = reader
        return reader

    return register


def secret_of(entry: Entry) -> str | None:
    """The secret that the step's command names, or None."""
    reader = _READERS.get((entry.data.get("secret") or {}).get("kind", ""))
    return reader(entry) if reader else None
