"""What becomes of each workload of a host that is to be emptied, read from the plan made for it."""

from __future__ import annotations

from dataclasses import dataclass

from datacenter.models import MaintenanceMember
from datacenter.services.plans import answer_of, world_of
from workloads.models import Workload

LIVE = (
    Workload.State.RUNNING,
    Workload.State.PAUSED,
    Workload.State.MIGRATING,
    Workload.State.STARTING,
    Workload.State.CREATING,
    Workload.State.UNKNOWN,
)


@dataclass(frozen=True)
class DrainLine:
    """What becomes of one workload of the host: it moves to `target`, or stays for `why_not`."""

    workload: str
    name: str
    kind: str
    target: str
    seconds: float  # predicted, as are those below
    blackout_ms: float
    moved_mib: float  # memory and disks
    why_not: str


def drain_lines(member: MaintenanceMember) -> list[DrainLine] | None:
    """A line for each running workload of the member's host by its plan; None while the planner is at work."""
    answer, world = (answer_of(member.plan), world_of(member.plan)) if member.plan else (None, None)
    if answer is None or world is None:
        return None
    hosts = {host.id: host.label for host in world.hosts}
    moves = {move.workload: move for move in answer.moves}
    reasons = {row.workload: row.sentence for row in answer.workloads_unmoved}
    live = {str(pk) for pk in Workload.objects.filter(host=member.host, state__in=LIVE).values_list("pk", flat=True)}
    lines = []
    for row in world.workloads:
        if row.host != str(member.host_id) or (row.id not in live and row.id not in moves):
            continue
        move = moves.get(row.id)
        lines.append(
            DrainLine(
                row.id,
                row.label,
                row.kind,
                hosts.get(move.target, move.target) if move else "",
                move.seconds if move else 0.0,
                move.blackout_ms if move else 0.0,
                move.memory_mib + 1024 * move.copy_gib if move else 0.0,
                "" if move else reasons.get(row.id, "The planner found no place for it."),
            )
        )
    return lines
