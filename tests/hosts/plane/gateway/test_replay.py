from __future__ import annotations

import os
from pathlib import Path

import pytest

from hosts.console_wire import REPLAY_BYTES_MOST
from hosts.plane.gateway.replay import LogTail, joined, overlap, tail_read


@pytest.mark.parametrize(
    ("tail", "live", "shared"),
    [
        (b"abcdef", b"def", 3),
        (b"abcdef", b"defghi", 3),
        (b"abcdef", b"xyz", 0),
        (b"", b"abc", 0),
        (b"abc", b"", 0),
        (b"aaaa", b"aaaaaa", 4),
        (b"ababab", b"abac", 2),
        (b"abc", b"abc", 3),
        (b"xabab", b"ababab", 4),
    ],
)
def test_what_log_and_line_both_have_is_found(tail: bytes, live: bytes, shared: int) -> None:
    assert overlap(tail, live) == shared


def test_a_log_is_joined_with_the_line_without_a_gap_or_a_double() -> None:
    assert joined(LogTail(b"boot\r\nlog", 509), b"login: ") == LogTail(b"boot\r\nlogin: ", 513)


def test_only_the_last_64_kib_of_a_log_are_read(tmp_path: Path) -> None:
    log = tmp_path / "serial.log"
    log.write_bytes(b"x" * 1000 + b"y" * REPLAY_BYTES_MOST)

    tail = tail_read(str(log))

    assert tail == LogTail(b"y" * REPLAY_BYTES_MOST, REPLAY_BYTES_MOST + 1000)


def test_no_log_is_an_empty_one(tmp_path: Path) -> None:
    assert tail_read(None) == tail_read(str(tmp_path / "none")) == LogTail(b"", 0)


def test_a_link_in_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    """S7"""
    (tmp_path / "secret").write_text("root:...")
    os.symlink(tmp_path / "secret", tmp_path / "serial.log")

    assert tail_read(str(tmp_path / "serial.log")) == LogTail(b"", 0)
