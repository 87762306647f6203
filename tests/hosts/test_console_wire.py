from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hosts.console_wire import (
    CONTROL,
    DATA,
    ConsoleRequest,
    FrameReader,
    control_frame,
    data_frame,
    frame_header,
    request_read,
    signed_request,
    terminal_size,
)
from hosts.errors import Invalid

KEY, CHALLENGE, NOW = "k" * 64, "c" * 32, 1000.0
ASKED = ConsoleRequest("alpha", "serial", "vm-1", 3, False, "ann", CHALLENGE, NOW + 10)


def read(body: bytes, **changes: object) -> ConsoleRequest:
    given = {"host": "alpha", "challenge": CHALLENGE, "now": NOW} | changes
    return request_read(KEY, body, **given)  # type: ignore[arg-type]


def test_a_signed_request_is_read_as_it_was_written() -> None:
    asked = replace(ASKED, command=("ls", "-l"), replay_from=7)

    assert read(signed_request(KEY, asked)) == asked


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"host": "beta"}, "another host"),
        ({"challenge": "d" * 32}, "another connection"),
        ({"now": NOW + 11}, "expired"),
    ],
)
def test_a_request_is_good_for_one_host_one_connection_and_a_while(change: dict[str, object], sentence: str) -> None:
    """S11: what was recorded is worth nothing anywhere else, or later."""
    with pytest.raises(Invalid, match=sentence):
        read(signed_request(KEY, ASKED), **change)


@pytest.mark.parametrize(
    "change", [{"user": "eve"}, {"view_only": True}, {"thing": "vm-2"}, {"kind": "shell"}, {"generation": 4}]
)
def test_a_request_that_was_changed_on_its_way_is_refused(change: dict[str, object]) -> None:
    envelope = json.loads(signed_request(KEY, ASKED))
    envelope["request"] |= change

    with pytest.raises(Invalid, match="not signed"):
        read(json.dumps(envelope).encode())


def test_another_planes_key_signs_nothing_here() -> None:
    with pytest.raises(Invalid, match="not signed"):
        read(signed_request("x" * 64, ASKED))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"request": 1, "signature": 2}', b"[" * 60000])
def test_nonsense_is_no_request(body: bytes) -> None:
    with pytest.raises(Invalid):
        read(body)


def test_a_kind_of_a_newer_control_plane_is_refused() -> None:
    with pytest.raises(Invalid, match="kind of console"):
        read(signed_request(KEY, replace(ASKED, kind="spice")))


def test_frames_are_found_however_the_stream_is_cut() -> None:
    stream = data_frame(b"one") + control_frame({"a": 1}) + data_frame(b"") + data_frame(b"two" * 1000)

    for size in (1, 2, 3, 7, len(stream)):
        reader = FrameReader()
        frames = [f for at in range(0, len(stream), size) for f in reader.feed(stream[at : at + size])]
        assert frames == [(DATA, b"one"), (CONTROL, b'{"a": 1}'), (DATA, b""), (DATA, b"two" * 1000)]


def test_the_first_frame_is_taken_and_the_bare_stream_behind_it_left_alone() -> None:
    stream = control_frame({"opened": {}}) + b"RFB 003.008\n"

    for cut in range(1, len(stream)):
        reader = FrameReader()
        frame, rest = reader.next_frame(stream[:cut])
        if frame is None:
            frame, rest = reader.next_frame(stream[cut:])
        else:
            rest += stream[cut:]
        assert frame == (CONTROL, b'{"opened": {}}') and rest == b"RFB 003.008\n"


@pytest.mark.parametrize("header", [frame_header(DATA, 65537), frame_header(CONTROL, 65537), frame_header(7, 1)])
def test_a_frame_that_is_too_long_is_refused_before_it_has_come(header: bytes) -> None:
    """S49"""
    with pytest.raises(Invalid):
        FrameReader(65536).feed(header)
    with pytest.raises(Invalid):
        FrameReader(65536).next_frame(header)


@pytest.mark.parametrize(
    ("given", "size"),
    [((120, 40), (120, 40)), ((0, -3), (2, 1)), ((10**9, 10**9), (1000, 1000)), (("x", None), (80, 24))],
)
def test_a_terminals_size_is_believable(given: tuple[object, object], size: tuple[int, int]) -> None:
    assert terminal_size(*given) == size
