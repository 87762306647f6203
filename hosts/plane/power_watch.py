"""The power of a site's machines, read every few seconds: also of those that are off, frozen, or were switched by hand.

A host plane cannot tell that its machine was switched off; the site plane asks the controllers. What it reads is an
observation like any other: it travels by the stream, and the newest reading of a machine is all that counts. Watts and
degrees, where a controller has them, are samples: each is kept until it could be sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from hosts.drivers.base import Bmc, Controller
from hosts.errors import StowageError

log = logging.getLogger(__name__)

INTERVAL_S = 10.0
CONTROLLERS_EVERY_S = 60.0
PATIENCE_S = 5.0  # for one round; a slower controller's reading goes with a later one
THREADS = 8
SENSORS_EVERY_S = 30.0
NO_SENSORS_AGAIN_S = 600.0  # of a controller that has none
SENSOR_THREADS = 4


class PowerWatch:
    """Reads all controllers side by side; one that hangs costs its own readings and one thread.

    Args:
        controllers: asks the control plane for the site's controllers; may raise StowageError.
        open_bmc: a controller by url, system, user and password.
        put: takes {"site", "at", "readings": {host: "on" | "off" | "turning on" | ...}}.
        clock: the control plane's time in epoch seconds.
        put_sample: takes {"site", "at", "readings": {}, "sensors": {host: {"power_watts", "temperature_celsius"}}}.
    """

    def __init__(
        self,
        site: str,
        controllers: Callable[[], list[Controller]],
        open_bmc: Callable[[str, str, str, str], Bmc],
        put: Callable[[dict[str, Any]], None],
        clock: Callable[[], float],
        put_sample: Callable[[dict[str, Any]], None] = lambda sample: None,
    ) -> None:
        self._put_sample = put_sample
        self._site = site
        self._ask_controllers = controllers
        self._open_bmc = open_bmc
        self._put = put
        self._clock = clock
        self._controllers: list[Controller] = []
        self._asked_at = float("-inf")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="power")
        self._hanging: dict[str, Future[str]] = {}  # asked in an earlier round, no answer yet
        self._told: dict[str, str] = {}
        # of their own: a controller answers many questions slowly, and power must not wait for that
        self._sensor_pool = ThreadPoolExecutor(SENSOR_THREADS, thread_name_prefix="sensors")
        self._sensing: dict[str, Future[dict[str, Any]]] = {}
        self._sense_at: dict[str, float] = {}

    def run(self, stop: threading.Event, interval_s: float = INTERVAL_S) -> None:
        """Reads until `stop`; blocks."""
        while not stop.is_set():
            self.round()
            self.sense()
            stop.wait(interval_s)
        for pool in (self._pool, self._sensor_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def round(self, patience_s: float = PATIENCE_S) -> dict[str, str]:
        """One reading of each controller that answers in time, by host, also given to `put`."""
        at = self._clock()
        self._controllers_refresh(at)
        self._hanging = {host: future for host, future in self._hanging.items() if not future.done()}
        asked = {
            controller.host: self._pool.submit(self._read, controller)
            for controller in self._controllers
            if controller.host not in self._hanging
        }
        wait(asked.values(), patience_s)
        self._hanging |= {host: future for host, future in asked.items() if not future.done()}
        readings = {host: power for host, future in asked.items() if future.done() and (power := future.result())}
        if readings:
            self._put({"site": self._site, "at": at, "readings": readings})
        return readings

    def sense(self) -> None:
        """Asks those whose turn it is for watts and degrees, and gives what has come since to `put_sample`."""
        now = self._clock()
        done = {host: future for host, future in self._sensing.items() if future.done()}
        found = {host: measured for host, future in done.items() if (measured := future.result())}
        for host in done:
            del self._sensing[host]
            self._sense_at[host] = now + (SENSORS_EVERY_S if host in found else NO_SENSORS_AGAIN_S)
        for controller in self._controllers:
            if controller.host not in self._sensing and self._sense_at.get(controller.host, 0.0) <= now:
                self._sensing[controller.host] = self._sensor_pool.submit(self._sense, controller)
        if found:
            self._put_sample({"site": self._site, "at": now, "readings": {}, "sensors": found})

    def _sense(self, controller: Controller) -> dict[str, Any]:
        """What the controller measures; empty where it has nothing, or does not answer."""
        try:
            bmc = self._open_bmc(controller.url, controller.system, controller.username, controller.password)
            reading = bmc.read_sensors()
        except StowageError as error:
            log.debug("The sensors of %s cannot be read: %s", controller.host, error.message)
            return {}
        if not reading:
            return {}
        return {"power_watts": reading.power_watts, "temperature_celsius": reading.temperatures_celsius}

    def _controllers_refresh(self, now: float) -> None:
        if now - self._asked_at < CONTROLLERS_EVERY_S:
            return
        try:
            self._controllers = self._ask_controllers()
            self._asked_at = now
        except StowageError as error:
            log.warning("The controllers are those of before: %s", error.message)

    def _read(self, controller: Controller) -> str:
        """The power; empty where the controller does not tell."""
        sentence, power = "", ""
        try:
            bmc = self._open_bmc(controller.url, controller.system, controller.username, controller.password)
            power = str(bmc.read_power().power)
        except StowageError as error:
            sentence = error.message
        if sentence and self._told.get(controller.host) != sentence:  # once, not every ten seconds
            log.warning("The power of %s cannot be read: %s", controller.host, sentence)
        self._told[controller.host] = sentence
        return power
