"""Waiting to be let in: a plane does nothing until the control plane knows its token."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from hosts.errors import StowageError
from hosts.plane.config import PlaneConfig
from hosts.plane.context import CLOCK_LEAD
from hosts.plane.control_client import ControlClient, token_read
from hosts.plane.state_file import StateFile

log = logging.getLogger(__name__)

RETRY_S = 2.0


@dataclass(frozen=True)
class Welcome:
    """What the control plane told this plane."""

    broker_url: str
    clock_lead_s: float


class Door:
    """Asks `/plane/v1/me`, and says so in the log when the answer changes."""

    def __init__(self, config: PlaneConfig) -> None:
        self._config = config
        self._client = ControlClient(config.control_url, lambda: token_read(config.token_file))
        self._said = ""

    def ask(self) -> Welcome | None:
        """The welcome, or None when there is none now."""
        try:
            me, lead_s = self._client.me()
        except StowageError as error:
            self._say(f"Not let in: {error.message}")
            return None
        if (me.get("kind"), me.get("name")) != (self._config.kind, self._config.name):
            self._say(
                f"Not let in: the token belongs to the {me.get('kind')} {me.get('name')}, "
                f"and this is the {self._config.kind} {self._config.name}."
            )
            return None
        self._say(f"Known to the control plane at {self._config.control_url} as {self._config.name}.")
        return Welcome(str(me["broker_url"]), lead_s)

    def wait(self, stop: threading.Event) -> Welcome | None:
        """The welcome as soon as there is one; None when `stop` was set first."""
        while not stop.is_set():
            if welcome := self.ask():
                return welcome
            stop.wait(RETRY_S)
        return None

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            log.info(sentence)
        self._said = sentence


def clock_lead_note(state: StateFile, lead_s: float) -> None:
    """Remembers by how much the control plane's clock leads, for all processes of the plane."""
    if float(state.flag(CLOCK_LEAD) or 0.0) != lead_s:
        log.warning("The control plane's clock is %.0f s ahead of this machine's.", lead_s)
        state.flag_set(CLOCK_LEAD, str(lead_s))
