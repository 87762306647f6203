"""One half of a host, its hypervisor or its engine, read in a thread of its own.

A frozen daemon then costs only its own half: whoever asks gets the last reading and whether it can be trusted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hosts.drivers.base import ObservedImage, ObservedWorkload, Watch, WorkloadCounters
from hosts.errors import StowageError

log = logging.getLogger(__name__)

DEBOUNCE_S = 0.3
OVERDUE_S = 5.0
IMAGES_FRESH_S = 60.0  # between events; listing many images is slow
WATCH_RETRY_S = 5.0


@dataclass(frozen=True)
class HalfReading:
    """What one look at the half gave.

    `at` is monotonic and tells when the counters were read; `began_at` is the plane's time in epoch seconds just
    before the workloads were read: what happened later may be missing.
    """

    workloads: list[ObservedWorkload] = field(default_factory=list)
    counters: list[WorkloadCounters] = field(default_factory=list)
    at: float = 0.0
    number: int = 0
    began_at: float = 0.0
    images: tuple[ObservedImage, ...] | None = None  # None: it keeps none, or was not asked yet


@dataclass(frozen=True)
class HalfState:
    """The half now: `ok` False means its workloads are unknown, not gone."""

    ok: bool
    sentence: str
    reading: HalfReading


@dataclass(frozen=True)
class HalfDriver:
    """The calls that a half makes; each may hang, none may take another half with it."""

    name: str
    workloads: Callable[[], list[ObservedWorkload]]
    counters: Callable[[], list[WorkloadCounters]]
    watch: Callable[[Callable[[str], None]], Watch]
    images: Callable[[], list[ObservedImage]] | None = None


class Half:
    """Reads when kicked, and soon after each event of the driver's; `on_event_read` tells of the latter.

    Looking (what runs) and counting (what it uses) are asked for each by itself. After an event there is only a look.
    """

    def __init__(
        self,
        driver: HalfDriver,
        on_event_read: Callable[[], None],
        *,
        debounce_s: float = DEBOUNCE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._on_event_read = on_event_read
        self._debounce_s = debounce_s
        self._changed = threading.Condition()
        self._due_at: float | None = None
        self._is_event_due = False
        self._is_look_due = True
        self._is_count_due = True
        self._busy_since: float | None = None
        self._finished = 0
        self._reading = HalfReading()
        self._failure: str | None = f"The {driver.name} has not been read yet."
        self._watch: Watch | None = None
        self._watch_is_lost = False
        self._watch_tried_at = -WATCH_RETRY_S
        self._images_at = -IMAGES_FRESH_S

    def read_within(self, seconds: float, *, look: bool = True, count: bool = True) -> HalfState:
        """The half's state after asking for a new reading and waiting that long for it."""
        with self._changed:
            wanted = self._finished + (2 if self._busy_since is not None else 1)
            self._is_look_due |= look
            self._is_count_due |= count
            self._ask(time.monotonic())
            self._changed.wait_for(lambda: self._finished >= wanted, seconds)
            return self._state()

    def state(self) -> HalfState:
        """The half's state as it is known, without waiting."""
        with self._changed:
            return self._state()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            with self._changed:
                if not self._wait_until_due(stop):
                    continue
                was_event, self._is_event_due = self._is_event_due, False
                look, self._is_look_due = self._is_look_due, False
                count, self._is_count_due = self._is_count_due, False
                self._due_at = None
                self._busy_since = time.monotonic()
            was_ok = self._failure is None
            self._read(look, count, was_event)
            if was_event or was_ok != (self._failure is None):
                self._on_event_read()
        self._unwatch()

    def _wait_until_due(self, stop: threading.Event) -> bool:
        left_s = 0.5 if self._due_at is None else self._due_at - time.monotonic()
        if left_s > 0 and not stop.is_set():
            self._changed.wait(min(left_s, 0.5))
        return self._due_at is not None and self._due_at <= time.monotonic()

    def _ask(self, at: float) -> None:
        """Makes a reading due at `at`, or earlier when one is due already: events never push it away."""
        self._due_at = at if self._due_at is None else min(self._due_at, at)
        self._changed.notify_all()

    def _event(self, uuid: str) -> None:
        """Called from the driver's threads: only notes that something changed."""
        with self._changed:
            if not uuid:
                self._watch_is_lost = True
            self._is_event_due = True
            self._is_look_due = True
            self._ask(time.monotonic() + self._debounce_s)

    def _read(self, look: bool, count: bool, was_event: bool) -> None:
        failure, reading = None, self._reading
        try:
            self._watch_ensure()
            if look:
                began_at = self._clock()
                reading = replace(reading, workloads=self._driver.workloads(), began_at=began_at)
                reading = self._images_read(reading, was_event)
            if count:
                counters = self._driver.counters()
                reading = replace(reading, counters=counters, at=time.monotonic(), number=reading.number + 1)
        except StowageError as error:
            failure = error.message
        except Exception as error:  # an edge: a driver's mistake must not end this half's thread for ever
            log.exception("Reading the %s broke", self._driver.name)
            failure = f"The {self._driver.name} could not be read: {type(error).__name__}."
        if failure:
            self._unwatch()
        with self._changed:
            if failure != self._failure:
                log.info("The %s: %s", self._driver.name, failure or "answers.")
            self._failure = failure
            self._reading = self._reading if failure else reading
            self._busy_since = None
            self._finished += 1
            self._changed.notify_all()

    def _images_read(self, reading: HalfReading, was_event: bool) -> HalfReading:
        is_old = time.monotonic() - self._images_at >= IMAGES_FRESH_S
        if self._driver.images is None or not (was_event or is_old):
            return reading
        self._images_at = time.monotonic()
        return replace(reading, images=tuple(self._driver.images()))

    def _watch_ensure(self) -> None:
        if self._watch_is_lost:
            self._unwatch()
        if self._watch is None and time.monotonic() - self._watch_tried_at >= WATCH_RETRY_S:
            self._watch_tried_at = time.monotonic()
            self._watch = self._driver.watch(self._event)

    def _unwatch(self) -> None:
        watch, self._watch, self._watch_is_lost = self._watch, None, False
        if watch is not None:
            try:
                watch.close()
            except StowageError as error:
                log.debug("Closing the watch of the %s: %s", self._driver.name, error.detail)

    def _state(self) -> HalfState:
        busy_s = 0.0 if self._busy_since is None else time.monotonic() - self._busy_since
        if busy_s > OVERDUE_S:
            sentence = f"The {self._driver.name} has not answered for {busy_s:.0f} seconds."
            return HalfState(False, sentence, self._reading)
        return HalfState(self._failure is None, self._failure or "", self._reading)
