"""Why a container can't leave its host, from what it uses of that host's disk."""

from __future__ import annotations

import uuid as uuids
from collections import defaultdict

from hosts.models import Host
from workloads.models import Container


def ties_write(host: Host) -> set[uuids.UUID]:
    """Writes the sentence of each of the host's containers where it differs; whose did. Two queries."""
    rows = list(Container.objects.filter(host=host).only("uuid", "name", "volumes", "tie"))
    users: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        for name in _named(row):
            users[name].append(row.name)
    changed = set()
    for row in rows:
        sentence = _tie(row, users)[:300]
        if sentence != row.tie:
            Container.objects.filter(pk=row.pk).update(tie=sentence)
            changed.add(row.pk)
    return changed


def _tie(row: Container, users: dict[str, list[str]]) -> str:
    for volume in row.volumes:
        if volume.get("kind") != "volume":
            return f"{row.name} uses {volume.get('source') or volume.get('target')} of its host, so it stays there."
    for name in sorted(_named(row)):
        if others := [other for other in users[name] if other != row.name]:
            return f"{row.name} shares the volume {name} with {others[0]}, which would lose it. So it stays there."
    return ""


def _named(row: Container) -> set[str]:
    return {str(volume.get("source")) for volume in row.volumes if volume.get("kind") == "volume"}
