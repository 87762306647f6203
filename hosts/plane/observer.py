"""The full observed state of the host, as one message: what runs, which links and pools there are.

Always everything: an event only makes the next message come sooner. Source: pitfalls.md, rule 2.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from hosts.drivers.base import ObservedImage
from hosts.errors import StowageError
from hosts.plane.config import PlaneConfig
from hosts.plane.gateway.where import where_read
from hosts.plane.half import HalfState
from hosts.plane.identity import boot_id, machine_id
from hosts.plane.pool_files import pool_files_read, pool_names_read
from hosts.plane.pools import Pool, disks_place, pools_read
from hosts.plane.state_file import StateFile

log = logging.getLogger(__name__)

SEQUENCE = "observation_sequence"
IMAGES_EVERY_S = 60.0  # also when nothing changed: a message may be lost
FILES_EVERY_S = 60.0  # their sizes change all the time; a new or missing one is told at once


class Observer:
    """Puts observations together; `links` gives the host's links as data."""

    def __init__(
        self,
        config: PlaneConfig,
        state: StateFile,
        links: Callable[[], list[dict[str, Any]]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._state = state
        self._links = links
        self._clock = clock
        self._machine_id = machine_id(config)
        self._boot_id = boot_id(config)
        self._last_links: list[dict[str, Any]] = []
        self._images: tuple[ObservedImage, ...] | None = None  # as sent last, and when
        self._images_at = -math.inf
        self._file_names: set[tuple[str, str]] | None = None  # in pools, as sent last, and when
        self._files_at = -math.inf

    def observe(self, hypervisor: HalfState, engine: HalfState) -> dict[str, Any]:
        """The observation with the next sequence number."""
        at = self._clock()
        pools = pools_read(self._config)
        workloads = [
            disks_place(workload, pools).to_data()
            for half in (hypervisor, engine)
            if half.ok
            for workload in half.reading.workloads
        ]
        observation = {
            "host": self._config.name,
            "at": at,
            "sequence": self._state.sequence_next(SEQUENCE),
            "boot_id": self._boot_id,
            "machine_id": self._machine_id,
            "hypervisor": _half_data(hypervisor),
            "engine": _half_data(engine),
            "read_at": {"vm": hypervisor.reading.began_at, "container": engine.reading.began_at},
            "workloads": workloads,
            "links": self._links_read(),
            "pools": [_pool_data(pool) for pool in pools],
            "can_shut_down": bool(self._config.shutdown_command),
            "consoles": where_read(self._state) | {"shell": self._config.host_shell},
        }
        if self._is_images_due(engine, at):
            observation["images"] = [image.to_data() for image in engine.reading.images or ()]
        if (files := self._files_due(pools, at)) is not None:
            observation["files"] = files
        return observation

    def _files_due(self, pools: list[Pool], at: float) -> list[dict[str, Any]] | None:
        """The files in the pools; None when they need not go with this message."""
        names = pool_names_read(pools)
        if names == self._file_names and at - self._files_at < FILES_EVERY_S:
            return None
        self._file_names, self._files_at = names, at
        return [file.to_data() for file in pool_files_read(pools)]

    def _is_images_due(self, engine: HalfState, at: float) -> bool:
        """Whether the images go with this message; they are many, so only when they changed, or once a minute."""
        images = engine.reading.images
        if not engine.ok or images is None or (images == self._images and at - self._images_at < IMAGES_EVERY_S):
            return False
        self._images, self._images_at = images, at
        return True

    def _links_read(self) -> list[dict[str, Any]]:
        """The links; those of the last time when the kernel's socket fails for once."""
        try:
            self._last_links = self._links()
        except StowageError as error:
            log.warning("%s %s", error.message, error.detail)
        return self._last_links


def _half_data(half: HalfState) -> dict[str, Any]:
    return {"ok": half.ok, "sentence": half.sentence}


def _pool_data(pool: Pool) -> dict[str, Any]:
    return pool.to_data()
