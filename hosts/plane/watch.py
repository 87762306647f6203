"""The host under watch: samples and observations every five seconds, and an observation soon after each event.

What somebody looks at is sampled each second besides; the rest of the host then is not asked.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hosts.drivers.base import Watch, WorkloadCounters
from hosts.errors import StowageError, Unreachable
from hosts.plane.config import PlaneConfig
from hosts.plane.container_files import ContainerFiles
from hosts.plane.context import Drivers, clock_of
from hosts.plane.control_client import key_read
from hosts.plane.guests import Guests
from hosts.plane.half import DEBOUNCE_S, Half, HalfDriver, HalfState
from hosts.plane.machine import DiskUsed, capacity, machine_find
from hosts.plane.observer import Observer
from hosts.plane.sampler import Counted, Sampler
from hosts.plane.state_file import StateFile
from hosts.plane.streams import Feed
from hosts.plane.watched import WatchedHere

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
WATCHED_INTERVAL_S = 1.0
FIRST_INTERVAL_S = 1.0  # rates need two readings, and nobody likes to wait for the first ones
# How long a beat waits for both halves; a slower one shows in the next message.
PATIENCE_S = 1.0


class HostWatch:
    """Everything that hostd's parent process watches, on its own threads."""

    def __init__(
        self,
        config: PlaneConfig,
        state: StateFile,
        broker_url: str,
        *,
        drivers: Drivers | None = None,
        feed: Feed | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._config = config
        self._drivers = drivers or Drivers(config)
        self._interval_s = interval_s
        self._feed = feed or Feed(broker_url, lambda: key_read(config.token_file))
        self._watched = WatchedHere(broker_url, config.name)
        self._observe_at: float | None = None
        self._wake = threading.Condition()
        clock = clock_of(state)
        self._hypervisor = Half(hypervisor_half(config, self._drivers), self._observe_soon, clock=clock)
        self._guests = Guests(lambda uuid: self._drivers.guests.guest(uuid), self._observe_soon, clock=clock)
        self._containers = ContainerFiles()
        self._unplaced: set[str] = set()
        self._engine = Half(engine_half(config, self._drivers, lambda: self._unplaced), self._observe_soon, clock=clock)
        self._observer = Observer(config, state, self._links, clock)
        self._sampler = Sampler(
            config.name,
            machine_find(config),
            lambda: capacity(config),
            DiskUsed(config),
            clock,
            lambda: self._feed.dropped,
        )

    def run(self, stop: threading.Event) -> None:
        for name, run in (
            ("hypervisor", self._hypervisor.run),
            ("engine", self._engine.run),
            ("guests", self._guests.run),
            ("feed", self._feed.run),
            ("watched", self._watched.run),
        ):
            threading.Thread(target=run, args=(stop,), name=name, daemon=True).start()
        links = self._links_watch()
        self._guarded(lambda: self._ask(look=True, count=False))  # containers can be counted once they are known
        beat_at = glance_at = time.monotonic()
        interval_s = FIRST_INTERVAL_S
        while not stop.is_set():
            now = time.monotonic()
            if now >= beat_at:
                beat_at = max(beat_at + interval_s, now)
                glance_at = now + WATCHED_INTERVAL_S
                interval_s = self._interval_s
                self._guarded(self._beat)
            elif now >= glance_at:
                glance_at = max(glance_at + WATCHED_INTERVAL_S, now)
                self._guarded(self._glance)
            elif self._observe_is_due():
                self._guarded(self._observe)
            self._wait(min(beat_at, glance_at))
        if links is not None:
            links.close()

    def _beat(self) -> None:
        """A sample and then an observation, from readings asked for now: figures need not wait for descriptions."""
        self._ask(look=False, count=True)
        self._send(self._sampler.sample([self._vms(), self._containers_counted()]))
        self._ask(look=True, count=False)
        self._observe()

    def _glance(self) -> None:
        """A sample of what somebody looks at, if anybody does."""
        watched = self._watched.now()
        if not watched:
            return
        looks = []
        running = self._engine.state().reading.workloads
        if watched.workloads & {workload.uuid for workload in running}:
            looks.append(self._containers_counted(ask=True))
        if watched.workloads & {workload.uuid for workload in self._hypervisor.state().reading.workloads}:
            self._hypervisor.read_within(PATIENCE_S, look=False)
            looks.append(self._vms())
        self._send(self._sampler.sample(looks, watched))

    def _send(self, sample: dict[str, Any] | None) -> None:
        if sample is not None:
            self._feed.sample_put(sample)

    def _ask(self, *, look: bool, count: bool) -> None:
        """Asks both halves side by side and waits a little."""
        asked = [
            threading.Thread(
                target=half.read_within, args=(PATIENCE_S,), kwargs={"look": look, "count": count}, daemon=True
            )
            for half in (self._hypervisor, self._engine)
        ]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join(PATIENCE_S + 0.5)

    def _vms(self) -> Counted:
        return self._sampler.counted("hypervisor", self._hypervisor.state())

    def _containers_counted(self, ask: bool = False) -> Counted:
        """Containers by their files, and by the engine those that have none here.

        An engine that does not answer hides no container that was seen before.
        """
        state = self._engine.state()
        if not self._is_engine_local():
            if ask:
                state = self._engine.read_within(PATIENCE_S, look=False)
            return self._sampler.counted("container engine", state)
        found, self._unplaced = self._containers.counters(state.reading.workloads)
        at = time.monotonic()
        elsewhere = [counters for counters in state.reading.counters if state.ok]
        return Counted("container engine", found + elsewhere, at, state.sentence)

    def _is_engine_local(self) -> bool:
        return self._config.docker_url.startswith("unix://")

    def _observe(self) -> None:
        with self._wake:
            self._observe_at = None
        self._feed.observation_put(self._observer.observe(self._with_guests(), self._engine.state()))

    def _with_guests(self) -> HalfState:
        state = self._hypervisor.state()
        workloads = self._guests.told(state.reading.workloads)
        return replace(state, reading=replace(state.reading, workloads=workloads))

    def _guarded(self, beat: Callable[[], None]) -> None:
        try:
            beat()
        except Exception:  # an edge: one bad reading must not end the watch for ever
            log.exception("A beat failed")

    def _observe_soon(self, delay_s: float = 0.0) -> None:
        with self._wake:
            at = time.monotonic() + delay_s
            self._observe_at = at if self._observe_at is None else min(at, self._observe_at)
            self._wake.notify_all()

    def _observe_is_due(self) -> bool:
        with self._wake:
            return self._observe_at is not None and self._observe_at <= time.monotonic()

    def _wait(self, beat_at: float) -> None:
        with self._wake:
            due = [beat_at] + ([self._observe_at] if self._observe_at is not None else [])
            self._wake.wait(max(0.0, min(min(due) - time.monotonic(), 0.5)))

    def _links(self) -> list[dict[str, Any]]:
        return [link.to_data() for link in self._drivers.netlink.list_links()]

    def _links_watch(self) -> Watch | None:
        try:
            return self._drivers.netlink.LinkWatch(lambda _: self._observe_soon(DEBOUNCE_S))
        except StowageError as error:
            log.warning("Links are read every %.0f s only: %s", self._interval_s, error.message)
            return None


def hypervisor_half(config: PlaneConfig, drivers: Drivers) -> HalfDriver:
    if not config.libvirt_uri:
        return _absent("hypervisor", "This host has no hypervisor.")
    return HalfDriver(
        "hypervisor",
        lambda: drivers.hypervisor.list_domains(),
        lambda: drivers.hypervisor.domain_counters(),
        lambda on_change: drivers.hypervisor.watch(on_change),
    )


def engine_half(config: PlaneConfig, drivers: Drivers, unplaced: Callable[[], set[str]]) -> HalfDriver:
    """The engine; of a local one, only the containers are counted that have no files here."""
    if not config.docker_url:
        return _absent("container engine", "This host has no container engine.")

    def counters() -> list[WorkloadCounters]:
        engine = drivers.engine
        if not engine.is_local:
            return engine.container_counters()
        return engine.container_counters(unplaced()) if unplaced() else []

    return HalfDriver(
        "container engine",
        lambda: drivers.engine.list_containers(),
        counters,
        lambda on_change: drivers.engine.watch(on_change),
        lambda: drivers.engine.list_images(),
    )


def _absent(name: str, sentence: str) -> HalfDriver:
    def refuse(*_: object) -> Any:
        raise Unreachable(sentence)

    return HalfDriver(name, refuse, refuse, refuse)
