"""An initramfs archive (cpio "newc") made from plain values. Source: the kernel's buffer-format.rst."""

from __future__ import annotations

import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A file of the archive: mode with its type bits, content (for a symlink: its target)."""

    path: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Entry:
    return Entry(path, stat.S_IFDIR | mode)


def file(path: str, content: bytes, mode: int = 0o644) -> Entry:
    return Entry(path, stat.S_IFREG | mode, content)


def symlink(path: str, target: str) -> Entry:
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    return Entry(path, stat.S_IFCHR | mode, b"", (major, minor))


def archive(entries: list[Entry]) -> bytes:
    """The archive; equal entries give equal bytes, since no time and no owner is in it."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.path.encode() + b"\0"
        fields = (
            number, entry.mode, 0, 0, 1, 0, len(entry.content),
            0, 0, entry.device[0], entry.device[1], len(name), 0,
        )  # fmt: skip
        out += b"070701" + b"".join(b"%08X" % value for value in fields) + name
        out += bytes(-len(out) % 4)
        out += entry.content
        out += bytes(-len(out) % 4)
    return bytes(out)
