"""What the guests' agents say, asked for at a gentle rate by threads of their own, over a connection of its own.

The samples never wait for a guest: a hung agent keeps one of these threads for some seconds, and is then left alone
for a while. Source: virDomainGetGuestInfo waits for the guest for as long as it is told to.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from hosts.drivers.base import ObservedWorkload
from hosts.errors import StowageError
from hosts.guest import CONNECTED, SILENT

log = logging.getLogger(__name__)

EVERY_S = 60.0
AFTER_SILENCE_S = 300.0
THREADS = 2


@dataclass
class _Known:
    due_at: float = 0.0  # monotonic
    is_asked: bool = False
    is_silent: bool = False
    guest: dict[str, Any] | None = None


class Guests:
    """The newest word of each guest whose agent is connected; `ask` may block, `on_news` must not."""

    def __init__(
        self,
        ask: Callable[[str], dict[str, Any]],
        on_news: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._on_news = on_news
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def run(self, stop: threading.Event) -> None:
        threads = [threading.Thread(target=self._work, args=(stop,), daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def told(self, workloads: Iterable[ObservedWorkload]) -> list[ObservedWorkload]:
        """The workloads with what their guests said last; those whose agents are connected are asked from now on."""
        workloads = list(workloads)
        with self._lock:
            connected = {workload.uuid for workload in workloads if workload.agent == CONNECTED}
            self._known = {uuid: self._known.get(uuid) or _Known() for uuid in connected}
            return [self._with_word(workload) for workload in workloads]

    def ask_next(self) -> bool:
        """Asks the guest that is due first; whether one was."""
        with self._lock:
            due = [(known.due_at, uuid) for uuid, known in self._known.items() if not known.is_asked]
            if not due or min(due)[0] > self._now():
                return False
            uuid = min(due)[1]
            known = self._known[uuid]
            known.is_asked = True
        guest = self._asked(uuid)
        with self._lock:
            known.is_asked, known.is_silent = False, guest is None
            known.guest = guest or known.guest
            known.due_at = self._now() + (AFTER_SILENCE_S if guest is None else EVERY_S)
        self._on_news()
        return True

    def _asked(self, uuid: str) -> dict[str, Any] | None:
        try:
            return {**self._ask(uuid), "told_at_s": int(self._clock())}
        except StowageError as error:
            log.debug("The guest of %s: %s %s", uuid, error.message, error.detail)
        except Exception:  # an edge: what a guest says must not end this thread for ever
            log.exception("Asking the guest of %s broke", uuid)
        return None

    def _with_word(self, workload: ObservedWorkload) -> ObservedWorkload:
        known = self._known.get(workload.uuid)
        if known is None:
            return workload
        return replace(workload, agent=SILENT if known.is_silent else CONNECTED, guest=known.guest)

    def _work(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if not self.ask_next():
                stop.wait(0.5)
