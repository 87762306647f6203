"""What every terminal with one viewer has in common: output waits for the viewer, input for nobody."""

from __future__ import annotations

from typing import Any

from hosts.console_wire import terminal_size
from hosts.plane.gateway.session import Session, Viewer


class TerminalSession(Session):
    """Base of exec, attach and the host's shell. Subclasses pause, resume, resize and end what they run."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer

    def said(self, data: bytes) -> None:
        """Output of the program; the subclass gives it."""
        self.viewer.send(data)

    def viewer_asked(self, message: dict[str, Any]) -> None:
        if isinstance(size := message.get("resize"), dict):
            self.resize(*terminal_size(size.get("columns"), size.get("rows")))

    def viewer_sent(self, data: bytes) -> None:
        if lost := len(data) - self.write(data):
            self.viewer.tell({"notice": f"The program takes no input now; {lost} bytes of it were dropped."})

    def write(self, data: bytes) -> int:
        """How many bytes were taken."""
        raise NotImplementedError

    def resize(self, columns: int, rows: int) -> None:
        raise NotImplementedError
