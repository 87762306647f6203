from __future__ import annotations

import pytest

from hosts.plane.gateway.engine import Demultiplexer


def piece(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize("size", [1, 3, 8, 1000])
def test_output_without_a_terminal_is_freed_of_its_heads(size: int) -> None:
    stream = piece(1, b"out\n") + piece(2, b"err\r\n") + piece(1, b"") + piece(1, b"end")
    pieces = Demultiplexer()

    said = b"".join(pieces.feed(stream[at : at + size]) for at in range(0, len(stream), size))

    assert said.replace(b"\r\r\n", b"\r\n") == b"out\r\nerr\r\nend"
