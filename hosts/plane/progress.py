"""What a running effect says about itself, and how it learns that it should stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hosts.errors import Refused, TimedOut

log = logging.getLogger(__name__)

BEAT_S = 5.0
ABORT_POLL_S = 0.5


class Progress:
    """The running effect's voice and ear; safe to use from any thread.

    While the `with` block runs, a thread sends the newest word every `beat_s` seconds (the heartbeat), looks
    for a request to abort every half second, and calls the registered callbacks once when there is one or
    when the time is up.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], None],
        is_asked_to_abort: Callable[[], bool],
        *,
        timeout_s: float,
        beat_s: float = BEAT_S,
        abort_poll_s: float = ABORT_POLL_S,
    ) -> None:
        self._send = send
        self._is_asked_to_abort = is_asked_to_abort
        self._timeout_s = timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self._beat_s = beat_s
        self._abort_poll_s = abort_poll_s
        self._word: dict[str, Any] = {"percent": None, "text": "", "data": {}}
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._stop_reason: str | None = None
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        self.send_now()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._finished.set()
        self._thread.join()

    def update(
        self,
        text: str,
        percent: float | None = None,
        data: dict[str, Any] | None = None,
        *,
        at_once: bool = False,
    ) -> None:
        """Sets what the next heartbeat says; `at_once` sends it now too."""
        with self._lock:
            self._word = {"percent": percent, "text": text, "data": data or {}}
        if at_once:
            self.send_now()

    def beat_every(self, beat_s: float) -> None:
        """Changes the heartbeat, as a migration does (1 s)."""
        self._beat_s = beat_s

    def send_now(self) -> None:
        with self._lock:
            word = dict(self._word)
        self._send(word)

    def is_aborted(self) -> bool:
        """Whether the effect should stop: it was asked to, or its time is up."""
        if self._stop_reason is None:
            if self._is_asked_to_abort():
                self._stop_reason = "aborted"
            elif self.remaining_s() <= 0:
                self._stop_reason = "timed out"
        return self._stop_reason is not None

    def check(self) -> None:
        """Raises Refused when the step was aborted and TimedOut when its time is up."""
        if not self.is_aborted():
            return
        if self._stop_reason == "aborted":
            raise Refused("The step was cancelled while it ran.")
        raise TimedOut(f"The step did not end within its {self._timeout_s:.0f} seconds.")

    def wait(self, seconds: float) -> None:
        """Sleeps that long, or until the step should stop; then raises as `check` does."""
        until = min(time.monotonic() + seconds, self._ends_at)
        while (left_s := until - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left_s, 0.2))
        self.check()

    def remaining_s(self) -> float:
        """Seconds until the step's time is up; negative afterwards."""
        return self._ends_at - time.monotonic()

    @contextmanager
    def on_abort(self, callback: Callable[[], None]) -> Iterator[None]:
        """Calls `callback` once, in another thread, when the step should stop while the block runs."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            yield
        finally:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

    def _watch(self) -> None:
        beaten_at = time.monotonic()
        while not self._finished.wait(min(self._abort_poll_s, self._beat_s)):
            if self.is_aborted():
                self._call_callbacks()
            if time.monotonic() - beaten_at >= self._beat_s:
                beaten_at = time.monotonic()
                self.send_now()

    def _call_callbacks(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:  # an edge: a failing abort must not silence the heartbeat
                log.exception("An abort callback failed")
