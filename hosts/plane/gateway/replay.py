"""What a serial line said before somebody looked, out of the log that QEMU writes always."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hosts.console_wire import REPLAY_BYTES_MOST


@dataclass(frozen=True)
class LogTail:
    """The end of a log; `position` is the offset behind its last byte."""

    data: bytes
    position: int


def tail_read(path: str | None) -> LogTail:
    """The last 64 KiB of the log; nothing where it cannot be read. Blocks on the disk."""
    if not path:
        return LogTail(b"", 0)
    try:
        # O_NOFOLLOW: a log is a plain file in QEMU's own folder, whatever somebody put in its place.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return LogTail(b"", 0)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - REPLAY_BYTES_MOST))
        data = file.read(REPLAY_BYTES_MOST)
    return LogTail(data, size)


def joined(tail: LogTail, live: bytes) -> LogTail:
    """The log's end and what came from the line meanwhile, with what both have counted once."""
    shared = overlap(tail.data, live)
    return LogTail((tail.data + live[shared:])[-REPLAY_BYTES_MOST:], tail.position + len(live) - shared)


def overlap(tail: bytes, live: bytes) -> int:
    """How many of the first bytes of `live` are also the last bytes of `tail`, the most that fit.

    By the prefix function of Knuth, Morris and Pratt: a line that floods must not cost the square of its bytes.
    """
    if not live or not tail:
        return 0
    borders = [0] * len(live)
    matched = 0
    for at in range(1, len(live)):
        while matched and live[at] != live[matched]:
            matched = borders[matched - 1]
        matched += live[at] == live[matched]
        borders[at] = matched
    matched = 0
    for byte in tail[-len(live) :]:
        while matched and (matched == len(live) or byte != live[matched]):
            matched = borders[matched - 1]
        matched += byte == live[matched]
    return matched
