"""What rests on what among the backups of a VM: a full one, and those that each add what changed since another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from uuid import UUID

from workloads.models import Backup


def chain_of(backup: Backup) -> list[Backup]:
    """All that is needed to restore it, the full one first."""
    chain = [backup]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain[::-1]


def chains_beyond(backups: Iterable[Backup], keep: int, held: Collection[str] = ()) -> list[Backup]:
    """What is too much when only the `keep` newest full ones shall stay, with all that rests on them (0: all).

    A chain is as new as the newest in it. Of one with a backup that is `held` nothing is taken. Marked ones are taken
    always. Children come before their parents, so that whoever stops half-way leaves nothing without its ground.
    """
    rows = {row.pk: row for row in backups}
    chains: dict[UUID, list[Backup]] = defaultdict(list)
    for row in rows.values():
        root = row
        while root.parent_id in rows:
            root = rows[root.parent_id]
        chains[root.pk].append(row)
    ordered = sorted(chains.values(), key=lambda chain: max(row.taken_at for row in chain), reverse=True)
    sound = [chain for chain in ordered if any(row.state != Backup.State.REMOVING for row in chain)]
    kept = sound[:keep] if keep else sound
    chosen = [
        row
        for chain in ordered
        if not any(str(row.pk) in held for row in chain)
        for row in chain
        if chain not in kept or _is_marked(row, chain)
    ]
    return sorted(chosen, key=lambda row: _depth(row, rows), reverse=True)


def _depth(row: Backup, rows: dict[UUID, Backup]) -> int:
    """How many backups it rests on."""
    count = 0
    while row.parent_id in rows:
        row, count = rows[row.parent_id], count + 1
    return count


def _is_marked(row: Backup, chain: list[Backup]) -> bool:
    """Whether it and all that rests on it is to go."""
    rests = [other for other in chain if other.parent_id == row.pk]
    return row.state == Backup.State.REMOVING and all(_is_marked(other, chain) for other in rests)
