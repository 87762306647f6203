"""The pools of this host: folders for volumes, each with an identity that hosts who share it read alike."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.plane.config import PlaneConfig
from hosts.plane.machine import occupied_bytes
from hosts.units import GIB

if TYPE_CHECKING:
    from hosts.drivers.base import ObservedWorkload

log = logging.getLogger(__name__)

MARKER = ".stowage-pool"


@dataclass(frozen=True)
class Pool:
    name: str
    path: str
    pool_id: str
    capacity_gib: float
    free_gib: float

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def pool_identity(path: str | Path) -> str:
    """The uuid in the pool's marker file, which is made when there is none.

    The marker appears as a whole or not at all, and only once, however many hosts try: `link` never replaces.
    """
    marker = Path(path) / MARKER
    if not marker.exists():
        draft = marker.with_name(f"{MARKER}.{uuid.uuid4().hex}")
        draft.write_text(f"{uuid.uuid4()}\n")
        try:
            os.link(draft, marker)
        except FileExistsError:
            log.debug("Another host was faster to mark %s", path)
        finally:
            draft.unlink()
    return str(uuid.UUID(marker.read_text().strip()))


def pools_read(config: PlaneConfig) -> list[Pool]:
    """The configured pools that are there; one that cannot be read is left out, with a line in the log."""
    pools = []
    for number, place in enumerate(config.pools):
        try:
            pool_id = pool_identity(place.path)
            total, free = _space(config, place.path, is_first=number == 0)
        except (OSError, ValueError) as error:
            log.debug("The pool %s cannot be read: %s", place.path, error)
            continue
        pools.append(Pool(place.name, place.path, pool_id, round(total / GIB, 2), round(max(0.0, free) / GIB, 2)))
    return pools


def disks_place(workload: ObservedWorkload, pools: list[Pool]) -> ObservedWorkload:
    """The workload with each disk's pool filled in, found by its path."""
    placed = []
    for disk in workload.disks:
        pool = next((p for p in pools if disk.path.startswith(p.path.rstrip("/") + "/")), None)
        placed.append(replace(disk, pool=pool.name, shared_pool_id=pool.pool_id) if pool else disk)
    return replace(workload, disks=tuple(placed))


def _space(config: PlaneConfig, path: str, *, is_first: bool) -> tuple[float, float]:
    """(bytes in all, bytes free); a declared capacity stands for the first pool's file system."""
    usage = shutil.disk_usage(path)
    if config.declared and is_first:
        total = config.declared.disk_gib * GIB
        return total, min(total - occupied_bytes(path), usage.free)
    return usage.total, usage.free
