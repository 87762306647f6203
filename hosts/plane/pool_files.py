"""What lies in the host's pools, as the dashboard's page of storage shows it. Only looked at, never opened."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from typing import Any

from hosts.plane.pools import Pool

FILES_MOST = 2000  # of one pool; more are not told
SECTOR_BYTES = 512  # of st_blocks, whatever the file system's own blocks are (stat(2))


@dataclass(frozen=True)
class PoolFile:
    """A plain file right in a pool. `used_bytes`: what it takes on the disk; `size_bytes`: how long it is."""

    pool_id: str
    name: str
    size_bytes: int
    used_bytes: int
    changed_at: float

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def pool_names_read(pools: list[Pool]) -> set[tuple[str, str]]:
    """(pool's id, name) of whatever lies in the pools: one reading of each folder, no file is asked for anything."""
    return {(pool.pool_id, name) for pool in pools for name in _names(pool)}


def pool_files_read(pools: list[Pool]) -> list[PoolFile]:
    """The files of all pools by name, without links, folders and what begins with a dot; never raises OSError."""
    found = []
    for pool in pools:
        for name in _names(pool):
            try:
                status = os.lstat(os.path.join(pool.path, name))
            except OSError:
                continue  # it was removed meanwhile
            if stat.S_ISREG(status.st_mode):
                used = status.st_blocks * SECTOR_BYTES
                found.append(PoolFile(pool.pool_id, name, status.st_size, used, round(status.st_mtime, 1)))
    return found


def _names(pool: Pool) -> list[str]:
    """Sorted, at most FILES_MOST; none where the folder cannot be read."""
    try:
        return sorted(name for name in os.listdir(pool.path) if not name.startswith("."))[:FILES_MOST]
    except OSError:
        return []
