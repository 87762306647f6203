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


def pool_files_read(pools: list[Pool]) -> list[PoolFile]:
    """The files of all pools by name, without links, folders and what begins with a dot; never raises OSError."""
    found = []
    for pool in pools:
        try:
            with os.scandir(pool.path) as entries:
                names = sorted(entry.name for entry in entries if not entry.name.startswith("."))
        except OSError:
            continue
        for name in names[:FILES_MOST]:
            try:
                status = os.lstat(os.path.join(pool.path, name))
            except OSError:
                continue  # it was removed meanwhile
            if stat.S_ISREG(status.st_mode):
                used = status.st_blocks * SECTOR_BYTES
                found.append(PoolFile(pool.pool_id, name, status.st_size, used, round(status.st_mtime, 1)))
    return found
