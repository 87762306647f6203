"""What a web process and a host's console gateway say to each other. Pure; both sides use it.

Over TLS, in frames of a length and a body. The gateway begins with a challenge; the web process answers with a
request signed by the plane's key (`hosts.signing`); the gateway says `opened` or `refused`. The challenge is of this
one connection, so a request that was recorded is worth nothing on another. Behind `opened` a VNC console is the bare
stream in both directions; every other console goes on in frames, data and control.

Frame: one byte kind, three bytes length (big-endian), body.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from hosts.errors import Invalid
from hosts.signing import canonical, is_signed, signature_of

Kind = Literal["vnc", "serial", "exec", "attach", "log", "top", "diff", "shell"]
KINDS: tuple[Kind, ...] = get_args(Kind)
HEADER_BYTES = 4
DATA, CONTROL = 0, 1
DATA_BYTES_MOST = 1024 * 1024
CONTROL_BYTES_MOST = 64 * 1024
REPLAY_BYTES_MOST = 64 * 1024

# Why a gateway refuses. After these the caller may come again: the thing is on its way.
ABSENT, STALE, UNREACHABLE = "absent", "stale", "unreachable"
# After these it may not.
DENIED, IMPOSSIBLE, ENDED = "denied", "impossible", "ended"
# Consoles that somebody may look at without acting on anything.
WATCHED = frozenset({"vnc", "serial", "log", "top", "diff"})
TRANSIENT = frozenset({ABSENT, STALE, UNREACHABLE})


@dataclass(frozen=True)
class ConsoleRequest:
    """One console, asked of one host's gateway by one person.

    `command`: of an exec what to run, of a log how many minutes back it begins.

    `generation` is the workload's by the control plane's books, 0 where it was adopted. `replay_from`: the offset in
    the serial line's log from which to replay; None asks for the last 64 KiB.
    """

    host: str
    kind: str
    thing: str
    generation: int
    view_only: bool
    user: str
    challenge: str
    expires: float
    command: tuple[str, ...] = ()
    columns: int = 80
    rows: int = 24
    replay_from: int | None = None

    def to_data(self) -> dict[str, Any]:
        return asdict(self) | {"command": list(self.command)}


def signed_request(key: str, request: ConsoleRequest) -> bytes:
    """The request as the body of a control frame."""
    data = request.to_data()
    return json.dumps({"request": data, "signature": signature_of(key, canonical(data))}).encode()


def request_read(key: str, body: bytes, *, host: str, challenge: str, now: float) -> ConsoleRequest:
    """The request in a frame's body. Raises Invalid for whatever is not meant for this host and this connection."""
    try:
        envelope = json.loads(body)
        data, signature = envelope["request"], envelope["signature"]
        if not isinstance(data, dict) or not is_signed(key, canonical(data), str(signature)):
            raise Invalid("The request is not signed by the control plane.")
        request = _request_from(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Invalid("The request makes no sense.", repr(error)[:300]) from error
    if request.host != host or request.challenge != challenge:
        raise Invalid("The request was made for another host or another connection.")
    if request.expires < now:
        raise Invalid("The request has expired. Check that the clocks of both machines agree.")
    if request.kind not in KINDS:
        raise Invalid("The request names a kind of console that this host does not know.")
    return request


def _request_from(data: dict[str, Any]) -> ConsoleRequest:
    """Keys of a newer control plane are passed over; a missing one is a KeyError or TypeError."""
    known = {field.name for field in fields(ConsoleRequest)}
    values = {key: value for key, value in data.items() if key in known}
    values["command"] = tuple(str(word) for word in values.get("command") or ())
    values["generation"], values["expires"] = int(values["generation"]), float(values["expires"])
    values["view_only"] = values["view_only"] is not False
    values["columns"], values["rows"] = terminal_size(values.get("columns"), values.get("rows"))
    for name in ("host", "kind", "thing", "user", "challenge"):
        values[name] = str(values[name])[:300]
    return ConsoleRequest(**values)


def terminal_size(columns: Any, rows: Any) -> tuple[int, int]:
    """A believable size of a terminal: what is no number becomes 80 by 24."""
    given = (columns if isinstance(columns, int) else 80, rows if isinstance(rows, int) else 24)
    return min(max(given[0], 2), 1000), min(max(given[1], 1), 1000)


def frame_header(kind: int, length: int) -> bytes:
    return (kind << 24 | length).to_bytes(HEADER_BYTES, "big")


def data_frame(data: bytes) -> bytes:
    return frame_header(DATA, len(data)) + data


def control_frame(message: dict[str, Any]) -> bytes:
    body = json.dumps(message).encode()
    return frame_header(CONTROL, len(body)) + body


def control_read(body: bytes) -> dict[str, Any]:
    """The message of a control frame. Raises Invalid."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("A console's control message is not JSON.") from error
    if not isinstance(message, dict):
        raise Invalid("A console's control message is no object.")
    return message


class FrameReader:
    """Cuts a stream into frames. Raises Invalid for a frame that is longer than allowed."""

    def __init__(self, data_bytes_most: int = DATA_BYTES_MOST) -> None:
        self._most = (data_bytes_most, CONTROL_BYTES_MOST)
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that are complete now, as (kind, body)."""
        self._pending += data
        frames, at, end = [], 0, len(self._pending)
        while end - at >= HEADER_BYTES:
            kind = self._pending[at]
            length = int.from_bytes(self._pending[at + 1 : at + HEADER_BYTES], "big")
            if kind not in (DATA, CONTROL) or length > self._most[kind]:
                raise Invalid("A console's frame is of an unknown kind, or too long.")
            if end - at - HEADER_BYTES < length:
                break
            frames.append((kind, bytes(self._pending[at + HEADER_BYTES : at + HEADER_BYTES + length])))
            at += HEADER_BYTES + length
        if at:
            del self._pending[:at]
        return frames

    def next_frame(self, data: bytes) -> tuple[tuple[int, bytes] | None, bytes]:
        """The first frame, and what lies behind it as it came: the way into a bare stream."""
        frames_from = bytes(self._pending) + data
        self._pending.clear()
        if len(frames_from) < HEADER_BYTES:
            self._pending += frames_from
            return None, b""
        length = int.from_bytes(frames_from[1:HEADER_BYTES], "big")
        if frames_from[0] not in (DATA, CONTROL) or length > self._most[frames_from[0]]:
            raise Invalid("A console's frame is of an unknown kind, or too long.")
        whole = HEADER_BYTES + length
        if len(frames_from) < whole:
            self._pending += frames_from
            return None, b""
        return (frames_from[0], frames_from[HEADER_BYTES:whole]), frames_from[whole:]
