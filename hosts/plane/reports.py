"""Sending reports and progress to the control plane, without ever making an effect wait for the broker.

An effect's report lies in the state file before it comes here. A lane tries once, at once; whatever did not
go is sent again by hostd's resender, every few seconds, until it went. Progress is only worth its newest word.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from hosts.errors import Refused
from hosts.plane.app import PUBLISH_TIMEOUT_S
from hosts.plane.state_file import StateFile
from hosts.signing import canonical, signature_of

log = logging.getLogger(__name__)

CONTROL_QUEUE = "control"
RESEND_AFTER_S = 3.0
_SEND_ERRORS = (OperationalError, redis.RedisError, OSError)


class Outlet:
    """A connection for sending task messages; every call is over within a few seconds, well or not."""

    def __init__(self, app: Celery, key: Callable[[], str]) -> None:
        self._app = app
        self._key = key
        self._connection: Any = None
        self._was_down = False

    def send(self, task: str, name: str, data: dict[str, Any]) -> bool:
        """Whether the data reached the broker, as the task's argument of that name and signed as this plane's."""
        try:
            signature = signature_of(self._key(), canonical(data))
        except Refused as error:  # no token any more: this plane is nobody just now
            self._note(error)
            return False
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._app.send_task(
                task,
                kwargs={name: data, "signature": signature},
                queue=CONTROL_QUEUE,
                declare=[],  # the queue is the control plane's; ours may only be dropped into it
                producer=self._app.amqp.Producer(self._connection, auto_declare=False),
                retry=False,
                ignore_result=True,
            )
        except _SEND_ERRORS as error:
            self._note(error)
            self.close()
            return False
        self._note(None)
        return True

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except _SEND_ERRORS as error:
                log.debug("Closing the broker's connection: %s", error)

    def _connect(self) -> Any:
        options = self._app.conf.broker_transport_options | {
            "socket_timeout": PUBLISH_TIMEOUT_S,
            "socket_connect_timeout": PUBLISH_TIMEOUT_S,
            "max_connections": 4,
        }
        connection = self._app.connection_for_write(transport_options=options)
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=PUBLISH_TIMEOUT_S)
        return connection

    def _note(self, error: Exception | None) -> None:
        if error is not None and not self._was_down:
            log.warning("The broker cannot be reached; reports are kept: %s", error)
        if error is None and self._was_down:
            log.info("The broker is back.")
        self._was_down = error is not None


class Publisher:
    """The `Sink` of a lane: takes reports and progress from any thread and sends them from one of its own."""

    def __init__(self, app: Celery, state: StateFile, key: Callable[[], str]) -> None:
        self._outlet = Outlet(app, key)
        self._state = state
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._reports: deque[tuple[str, dict[str, Any]]] = deque(maxlen=1000)
        self._progress: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> Publisher:
        self._thread.start()
        return self

    def stop(self, timeout_s: float = 2 * PUBLISH_TIMEOUT_S) -> None:
        """Sends what is there, once, and ends."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout_s)

    def report(self, ticket: str, report: dict[str, Any]) -> None:
        with self._lock:
            self._progress.pop(_key(report), None)
            self._reports.append((ticket, report))
        self._wake.set()

    def progress(self, progress: dict[str, Any]) -> None:
        with self._lock:
            self._progress[_key(progress)] = progress
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait()
            self._wake.clear()
            self._send_all()
        self._outlet.close()

    def _send_all(self) -> None:
        with self._lock:
            words, self._progress = list(self._progress.values()), {}
            reports = list(self._reports)
            self._reports.clear()
        # Reports first: they are what the next step waits for.
        for ticket, report in reports:
            if not self._outlet.send("hosts.effect_reported", "report", report):
                return  # the resender has them all in the state file
            self._state.report_sent(ticket)
        for word in words:
            if not self._outlet.send("hosts.effect_progress", "progress", word):
                return


class Resender:
    """Sends the state file's unsent reports again, every few seconds, from a thread of hostd's own."""

    def __init__(
        self, app: Celery, state: StateFile, key: Callable[[], str], *, after_s: float = RESEND_AFTER_S
    ) -> None:
        self._outlet = Outlet(app, key)
        self._state = state
        self._after_s = after_s

    def send_unsent(self) -> int:
        """How many went; stops at the first that does not."""
        count = 0
        for unsent in self._state.reports_unsent(older_than_s=self._after_s):
            if not self._outlet.send("hosts.effect_reported", "report", unsent.report):
                break
            self._state.report_sent(unsent.ticket)
            count += 1
        return count

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._after_s):
            self.send_unsent()
        self._outlet.close()


def _key(data: dict[str, Any]) -> tuple[str, str, str]:
    return data["operation"], data["step"], data["direction"]
