"""The container images that a host's engine has, brought into the database: only what changed is written.

All of it comes from a host and is checked and cut to size before use (attacks.md S26, S40).
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from hosts.inventory import amount, plain_text
from hosts.models import Host
from hosts.publish import publish_change
from workloads.models import HostImage

IMAGES_MOST = 2000
NAMES_MOST = 50


def host_images_observe(host: Host, rows: Any) -> None:
    """Makes the host's images those that were observed, and rings their page when any differs."""
    if not isinstance(rows, list):
        return
    seen = {engine_id: row for row in rows[:IMAGES_MOST] if (engine_id := _engine_id(row))}
    stored = {image.engine_id: image for image in HostImage.objects.filter(host=host)}
    lost = [image.pk for engine_id, image in stored.items() if engine_id not in seen]
    changes = {
        engine_id: values for engine_id, row in seen.items() if _differs(stored.get(engine_id), values := _of(row))
    }
    if not lost and not changes:
        return
    with transaction.atomic():
        HostImage.objects.filter(pk__in=lost).delete()
        for engine_id, values in changes.items():
            HostImage.objects.update_or_create(host=host, engine_id=engine_id, defaults=values)
        publish_change("container_image", host.pk, "observed")


def _differs(image: HostImage | None, values: dict[str, Any]) -> bool:
    return image is None or any(getattr(image, name) != value for name, value in values.items())


def _of(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "names": _texts(row.get("names")),
        "size_bytes": int(amount(row.get("size_bytes"))),
        "used_by": _texts(row.get("used_by")),
    }


def _texts(value: Any) -> list[str]:
    return [plain_text(text) for text in (value if isinstance(value, list) else [])[:NAMES_MOST]]


def _engine_id(row: Any) -> str:
    return plain_text(row.get("engine_id"), 100) if isinstance(row, dict) else ""
