"""What a viewer says to a VNC server, judged on its way: screens are shared, and who only looks changes nothing.

Pure: bytes in, bytes out. Source: RFC 6143 7.1 to 7.5; the extensions' lengths are of the RFB protocol's community
version (rfbproto.rst) and of QEMU's ui/vnc.h.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from hosts.errors import Invalid

VERSION_BYTES = 12
_NONE, _VNC_AUTHENTICATION = 1, 2
_CHALLENGE_RESPONSE_BYTES = 16
_CUT_TEXT_MOST = 1024 * 1024
# The pseudo-encoding with which a pointer's message may grow longer (ExtendedMouseButtons).
_LONG_POINTER = (-316).to_bytes(4, "big", signed=True)


class _Stage(enum.Enum):
    VERSION = enum.auto()
    SECURITY = enum.auto()
    RESPONSE = enum.auto()
    CLIENT_INIT = enum.auto()
    MESSAGES = enum.auto()
    BARE = enum.auto()  # nothing left to judge


def _fixed(length: int) -> Callable[[bytearray], int]:
    return lambda _: length


def _counted(head: int, offset: int, width: int, each: int) -> Callable[[bytearray], int]:
    """The length of a message that counts its items at `offset`; the head's length until that is known."""

    def length(pending: bytearray) -> int:
        if len(pending) < head:
            return head
        return head + each * int.from_bytes(pending[offset : offset + width], "big")

    return length


def _cut_text(pending: bytearray) -> int:
    """A negative length is of the extended clipboard, and means its amount."""
    if len(pending) < 8:
        return 8
    length = abs(int.from_bytes(pending[4:8], "big", signed=True))
    if length > _CUT_TEXT_MOST:
        raise Invalid("A viewer's clipboard is too long.")
    return 8 + length


def _qemu(pending: bytearray) -> int:
    """QEMU's own: extended key events and sound."""
    if len(pending) < 2:
        return 2
    if pending[1] == 0:
        return 12
    if pending[1] != 1:
        raise Invalid("A viewer sends messages that nobody knows.")
    return 4 if len(pending) < 4 or int.from_bytes(pending[2:4], "big") != 2 else 10


# message type -> how long it is, and whether one who only looks may send it
_MESSAGES: dict[int, tuple[Callable[[bytearray], int], bool]] = {
    0: (_fixed(20), True),  # SetPixelFormat
    2: (_counted(4, 2, 2, 4), True),  # SetEncodings
    3: (_fixed(10), True),  # FramebufferUpdateRequest
    4: (_fixed(8), False),  # KeyEvent
    5: (_fixed(6), False),  # PointerEvent
    6: (_cut_text, False),  # ClientCutText
    150: (_fixed(10), True),  # EnableContinuousUpdates
    248: (_counted(9, 8, 1, 1), True),  # ClientFence
    250: (_fixed(4), False),  # xvp: power
    251: (_counted(8, 6, 1, 16), False),  # SetDesktopSize
    255: (_qemu, False),
}


class ViewerFilter:
    """Takes what the viewer sends, gives what the server may hear. Raises Invalid where it cannot be judged."""

    def __init__(self, view_only: bool) -> None:
        self._view_only = view_only
        self._stage = _Stage.VERSION
        self._pending = bytearray()

    def feed(self, data: bytes) -> bytes:
        if self._stage is _Stage.BARE:
            return data
        self._pending += data
        passed = bytearray()
        while (part := self._next()) is not None:
            passed += part
        if self._stage is _Stage.BARE:
            passed += self._pending
            self._pending = bytearray()
        return bytes(passed)

    def _next(self) -> bytes | None:
        """The next complete piece as the server may hear it (b"" for one that is dropped); None: more is needed."""
        if self._stage is _Stage.VERSION:
            return self._version()
        if self._stage is _Stage.SECURITY:
            return self._security()
        if self._stage is _Stage.RESPONSE:
            return self._taken(_CHALLENGE_RESPONSE_BYTES, _Stage.CLIENT_INIT)
        if self._stage is _Stage.CLIENT_INIT:
            # Shared, whatever was asked for: an unshared viewer throws the others out.
            return None if self._taken(1, self._after_init()) is None else b"\x01"
        return self._message() if self._stage is _Stage.MESSAGES else None

    def _after_init(self) -> _Stage:
        return _Stage.MESSAGES if self._view_only else _Stage.BARE

    def _taken(self, length: int, stage: _Stage | None = None) -> bytes | None:
        if len(self._pending) < length:
            return None
        part = bytes(self._pending[:length])
        del self._pending[:length]
        self._stage = stage or self._stage
        return part

    def _version(self) -> bytes | None:
        version = self._taken(VERSION_BYTES, _Stage.SECURITY)
        if version is not None and version not in (b"RFB 003.007\n", b"RFB 003.008\n"):
            raise Invalid("The viewer speaks a version of VNC that is not served here.")
        return version

    def _security(self) -> bytes | None:
        chosen = self._taken(1)
        if chosen is None:
            return None
        if chosen[0] not in (_NONE, _VNC_AUTHENTICATION):
            raise Invalid("The screen asks for a login that is not served here.")
        self._stage = _Stage.CLIENT_INIT if chosen[0] == _NONE else _Stage.RESPONSE
        return chosen

    def _message(self) -> bytes | None:
        if not self._pending:
            return None
        known = _MESSAGES.get(self._pending[0])
        if known is None:
            raise Invalid("A viewer sends messages that nobody knows.")
        length_of, is_harmless = known
        message = self._taken(length_of(self._pending))
        if message is None:
            return None
        if not is_harmless:
            return b""
        return _without_long_pointers(message) if message[0] == 2 else message


def _without_long_pointers(message: bytes) -> bytes:
    """SetEncodings without the one that changes the length of what we drop."""
    encodings = [message[at : at + 4] for at in range(4, len(message), 4)]
    kept = [encoding for encoding in encodings if encoding != _LONG_POINTER]
    return message[:2] + len(kept).to_bytes(2, "big") + b"".join(kept)
