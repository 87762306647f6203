"""How many more like this fit, and what is in the way of one more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from .model import DataCenter, Policy, Workload
from .room import Room


@dataclass(frozen=True, slots=True)
class Fit:
    """How many fit side by side without moving anything, the hosts they go to, and a sentence about the next one."""

    count: int
    on_hosts: dict[str, int]
    sentence: str
    why_not: dict[str, str]


def how_many_fit(data_center: DataCenter, policy: Policy, workload: Workload, most: int = 10_000) -> Fit:
    """Copies of that workload that fit beside everything else; the count ends at `most`."""
    room = Room(data_center, policy)
    on_hosts: Counter[str] = Counter()
    for number in range(most):
        copy = replace(workload, id=f"{workload.id} {number + 1}")
        answer = room.place(copy)
        if answer.host is None:
            sentence = f"{number:,} more like {workload.label} fit; {answer.sentence[0].lower()}{answer.sentence[1:]}"
            return Fit(number, dict(on_hosts), sentence, answer.why_not)
        room.take(copy, answer.host)
        on_hosts[answer.host] += 1
    return Fit(most, dict(on_hosts), f"At least {most:,} more like {workload.label} fit.", {})
