"""One console between a viewer and something of this host. Nothing here is in a hurry to know what it carries."""

from __future__ import annotations

from typing import Any, Protocol


class Refusal(Exception):
    """The console cannot be opened; `kind` is one of `hosts.console_wire`'s, the sentence is for the operator."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.sentence = sentence


class Viewer(Protocol):
    """The web process's end of the console, as a session sees it. No call blocks."""

    @property
    def is_full(self) -> bool:
        """Whether more is waiting to be sent than should be."""

    def send(self, data: bytes | memoryview) -> None:
        """Sends what the thing said; the memory may be used again afterwards."""

    def tell(self, message: dict[str, Any]) -> None:
        """Sends a control message; for framed consoles alone."""

    def hold(self) -> None:
        """Takes no more of the viewer's input until `go_on`."""

    def go_on(self) -> None: ...

    def end(self, sentence: str, **more: Any) -> None:
        """Tells why it is over and hangs up; the session is closed by it."""


class Session:
    """What the gateway asks of each kind of console. All calls come from the event loop's thread."""

    is_bare = False

    def opened(self) -> dict[str, Any]:
        """What the web process is told of it."""
        return {}

    def start(self) -> None:
        """The web process has been told: output may flow."""

    def viewer_sent(self, data: bytes) -> None:
        """The viewer's input."""

    def viewer_asked(self, message: dict[str, Any]) -> None:
        """The viewer's control message; unknown ones are passed over."""

    def viewer_full(self) -> None:
        """The viewer takes nothing more for now."""

    def viewer_ready(self) -> None:
        """The viewer takes more again."""

    def close(self) -> None:
        """The viewer is gone, or the session was ended; safe to call twice."""
