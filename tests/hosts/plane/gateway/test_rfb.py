from __future__ import annotations

import struct

import pytest

from hosts.errors import Invalid
from hosts.plane.gateway.rfb import ViewerFilter

VERSION = b"RFB 003.008\n"
GREETING = VERSION + b"\x01" + b"\x00"  # no password, asks for the screen alone
SHARED = VERSION + b"\x01" + b"\x01"
PIXELS = b"\x00" + bytes(19)
ENCODINGS = struct.pack(">BBHii", 2, 0, 2, 0, -239)
REQUEST = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 480)
KEY = struct.pack(">BBxxI", 4, 1, 0xFF0D)
POINTER = struct.pack(">BBHH", 5, 1, 10, 10)
CUT = struct.pack(">BxxxI", 6, 5) + b"paste"
CUT_EXTENDED = struct.pack(">Bxxxi", 6, -4) + b"\x02\x00\x00\x01"
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 480)
FENCE = struct.pack(">BxxxIB", 248, 1, 3) + b"abc"
XVP = b"\xfa\x00\x01\x02"
SIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
QEMU_KEY = struct.pack(">BBHII", 255, 0, 1, 0xFF0D, 28)
QEMU_SOUND = struct.pack(">BBH", 255, 1, 0)
QEMU_SOUND_FORMAT = struct.pack(">BBHBBI", 255, 1, 2, 3, 2, 44100)

HARMLESS = [PIXELS, ENCODINGS, REQUEST, CONTINUOUS, FENCE]
ACTS = [KEY, POINTER, CUT, CUT_EXTENDED, XVP, SIZE, QEMU_KEY, QEMU_SOUND, QEMU_SOUND_FORMAT]


def passed(stream: bytes, *, view_only: bool, size: int = 4096) -> bytes:
    judge = ViewerFilter(view_only)
    return b"".join(judge.feed(stream[at : at + size]) for at in range(0, len(stream), size))


def test_a_screen_is_always_shared() -> None:
    assert passed(GREETING, view_only=False) == SHARED
    assert passed(GREETING, view_only=True) == SHARED


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 4096])
def test_who_only_looks_sends_nothing_that_acts(size: int) -> None:
    """S13"""
    mixed = b"".join(act + harmless for act, harmless in zip(ACTS, HARMLESS * 2, strict=False))

    heard = passed(GREETING + mixed, view_only=True, size=size)

    assert heard == SHARED + b"".join((HARMLESS * 2)[: len(ACTS)])


@pytest.mark.parametrize("size", [1, 4096])
def test_who_may_act_is_passed_on_byte_by_byte(size: int) -> None:
    stream = b"".join([*HARMLESS, *ACTS, b"\x99 what a newer viewer may say"])

    assert passed(GREETING + stream, view_only=False, size=size) == SHARED + stream


def test_a_password_is_passed_on_and_the_flag_behind_it_is_still_ours() -> None:
    login = VERSION + b"\x02" + b"r" * 16

    assert passed(login + b"\x00" + KEY, view_only=True) == login + b"\x01"


def test_no_message_can_hide_behind_a_pointer_that_grew() -> None:
    """With ExtendedMouseButtons a pointer's message has a byte more: who only looks never switches it on."""
    asked = struct.pack(">BBHiii", 2, 0, 3, 0, -316, -239)

    assert passed(GREETING + asked, view_only=True) == SHARED + ENCODINGS


@pytest.mark.parametrize(
    "stream",
    [
        b"RFB 003.003\n",  # the server would choose the login, unseen by us
        b"GET / HTTP/1",
        VERSION + b"\x13",  # VeNCrypt
        GREETING + b"\x99",
        GREETING + struct.pack(">BB", 255, 2),
        GREETING + struct.pack(">BxxxI", 6, 2**31 - 1),
    ],
)
def test_what_cannot_be_judged_ends_the_console_of_who_only_looks(stream: bytes) -> None:
    with pytest.raises(Invalid):
        passed(stream, view_only=True)
