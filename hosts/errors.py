"""Every error Stowage raises on purpose.

    StowageError
    +-- Refused             not allowed now; the message is the sentence for the operator (API: 409)
    |   +-- TooMany         allowed again after a while (API: 429)
    +-- Invalid             the input itself is wrong; the message says what to do (API: 422)
    +-- Forbidden           this user may not (API: 403)
    +-- NotFound            no such thing (API: 404)
    +-- DriverError         a host, engine or BMC failed us
        +-- Unreachable     nobody answers there          (transient)
        +-- TimedOut        it answered too late          (transient)
        +-- Rejected        it understood and said no
        +-- Vanished        the thing acted on is gone there

`message` is for the operator, `detail` for the log. Errors cross the broker as data (`error_to_data`).
"""

from __future__ import annotations

from typing import TypedDict


class ErrorData(TypedDict):
    """An error as it travels in a report: kind is the class name."""

    kind: str
    message: str
    detail: str
    transient: bool


class StowageError(Exception):
    """An expected failure with a sentence for the operator."""

    transient = False

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class Refused(StowageError):
    """Not allowed now; the message says why, and what to do. `field` names the form field where one choice is why."""

    def __init__(self, message: str, detail: str = "", field: str | None = None) -> None:
        super().__init__(message, detail)
        self.field = field


class TooMany(Refused):
    """Too often, or too much at once; it is allowed again after a while."""


class Invalid(StowageError):
    """The input is wrong; `field` names the form field where there is one."""

    def __init__(self, message: str, detail: str = "", field: str | None = None) -> None:
        super().__init__(message, detail)
        self.field = field


class Forbidden(StowageError):
    """The user's role does not allow it; the message names the role that does."""


class NotFound(StowageError):
    """No such thing, or none that this user may know of."""


class DriverError(StowageError):
    """A host, an engine or a BMC failed; `transient` tells whether a retry can help."""


class Unreachable(DriverError):
    transient = True


class TimedOut(DriverError):
    transient = True


class Rejected(DriverError):
    """The other side understood and refused."""


class Vanished(DriverError):
    """What was acted on is no longer there."""


_KINDS: dict[str, type[StowageError]] = {
    kind.__name__: kind
    for kind in (
        StowageError,
        Refused,
        TooMany,
        Invalid,
        Forbidden,
        NotFound,
        DriverError,
        Unreachable,
        TimedOut,
        Rejected,
        Vanished,
    )
}


def error_to_data(error: StowageError) -> ErrorData:
    """The error as JSON-ready data."""
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "detail": error.detail,
        "transient": error.transient,
    }


def error_from_data(data: ErrorData) -> StowageError:
    """The error that `error_to_data` described; an unknown kind becomes a DriverError."""
    return _KINDS.get(data["kind"], DriverError)(data["message"], data.get("detail", ""))
