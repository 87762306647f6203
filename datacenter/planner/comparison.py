"""What changed between two plans, for review: a person who approved one sees what the next does differently."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Plan


@dataclass(frozen=True, slots=True)
class Difference:
    """Moves by workload and target; a redirected one has the first target and the second. Hosts by id."""

    moves_added: tuple[tuple[str, str], ...]
    moves_dropped: tuple[tuple[str, str], ...]
    moves_redirected: tuple[tuple[str, str, str], ...]
    hosts_freed_now: tuple[str, ...]
    hosts_kept_now: tuple[str, ...]
    watts: float  # what the second plan draws more than the first

    @property
    def is_empty(self) -> bool:
        """Whether both plans do the same."""
        return not (
            self.moves_added
            or self.moves_dropped
            or self.moves_redirected
            or self.hosts_freed_now
            or self.hosts_kept_now
        )


def compare(first: Plan, second: Plan) -> Difference:
    """From the first plan to the second. Moves are matched by workload; parking on the way is not counted."""
    before = {move.workload: first.placement_after[move.workload] for move in first.moves}
    after = {move.workload: second.placement_after[move.workload] for move in second.moves}
    freed_before, freed_after = set(first.hosts_to_power_off), set(second.hosts_to_power_off)
    return Difference(
        moves_added=tuple(sorted((name, host) for name, host in after.items() if name not in before)),
        moves_dropped=tuple(sorted((name, host) for name, host in before.items() if name not in after)),
        moves_redirected=tuple(
            sorted((name, host, after[name]) for name, host in before.items() if after.get(name, host) != host)
        ),
        hosts_freed_now=tuple(sorted(freed_after - freed_before)),
        hosts_kept_now=tuple(sorted(freed_before - freed_after)),
        watts=second.watts_after - first.watts_after,
    )
