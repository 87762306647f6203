"""The files in pools, brought into the database: only what changed is written.

All of it comes from a host and is checked and cut to size before use; a host speaks for pools that it has mounted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from hosts.inventory import amount, plain_text
from hosts.models import Host, Pool, PoolFile
from hosts.publish import publish_change

FILES_MOST = 2000  # of one pool
# A disk in use grows with every look; its row follows in steps of this size.
GROWN_BYTES = 1024**2


def pool_files_observe(host: Host, rows: Any) -> None:
    """Makes the files of the host's pools those that were observed, and rings their page when any differs."""
    if not isinstance(rows, list):
        return
    for pool in Pool.objects.filter(mounts__host=host):
        told = [row for row in rows if isinstance(row, dict) and row.get("pool_id") == pool.pool_id]
        seen = {name: _values(row) for row in told[:FILES_MOST] if (name := plain_text(row.get("name"), 255))}
        _pool_files_set(pool, seen)


def _pool_files_set(pool: Pool, seen: dict[str, dict[str, Any]]) -> None:
    stored = {file.name: file for file in pool.files.all()}
    lost = [file.pk for name, file in stored.items() if name not in seen]
    changed = [name for name, values in seen.items() if _differs(stored.get(name), values)]
    if not lost and not changed:
        return
    with transaction.atomic():
        PoolFile.objects.filter(pk__in=lost).delete()
        for name in changed:
            PoolFile.objects.update_or_create(pool=pool, name=name, defaults=seen[name])
        publish_change("pool", pool.pk, "observed")


def _differs(file: PoolFile | None, values: dict[str, Any]) -> bool:
    return (
        file is None
        or file.size_bytes != values["size_bytes"]
        or abs(file.used_bytes - values["used_bytes"]) >= GROWN_BYTES
    )


def _values(row: dict[str, Any]) -> dict[str, Any]:
    seconds = min(amount(row.get("changed_at")), 4e9)  # the year 2096; later ones are no times
    return {
        "size_bytes": int(amount(row.get("size_bytes"))),
        "used_bytes": int(amount(row.get("used_bytes"))),
        "changed_at": datetime.fromtimestamp(seconds, UTC),
    }
