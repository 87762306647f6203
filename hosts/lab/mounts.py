"""Mounts made by system call: a lab host's first process makes a dozen of them while it boots."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str | Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError naming the target."""
    arguments = (source.encode(), str(target).encode(), kind.encode() or None, flags, options.encode() or None)
    if _libc.mount(*arguments):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def bind(source: str | Path, target: str | Path, recursive: bool = False) -> None:
    """Shows `source`, a folder or a file, at `target` as well."""
    mount(str(source), target, flags=MS_BIND | (MS_REC if recursive else 0))


def unmount(target: str | Path) -> None:
    """umount2(2), lazily: what still uses the mount keeps it until it ends."""
    if _libc.umount2(str(target).encode(), 2):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def mounted_below(folder: Path) -> list[Path]:
    """Mount points at or below `folder` in this namespace, deepest first."""
    points = [Path(line.split()[4]) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sorted((p for p in points if p.is_relative_to(folder)), key=lambda p: len(p.parts), reverse=True)
