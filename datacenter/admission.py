"""Does a workload fit on a host at this very moment? Asked just before each move, and for each new workload.

The planner's own rules on the planner's own values, for one workload and one host; without its arrays, so that
the workers and the web process can ask (NumPy belongs to the plan worker).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from datacenter.planner.compatibility import why_closed, why_incompatible
from datacenter.planner.model import DataCenter, Host, Policy, Profile, Workload
from datacenter.snapshot import arriving_id

TOLERANCE = 1e-6
HOURS = 168

Need = Callable[[Workload], float]


def why_not_admitted(data_center: DataCenter, policy: Policy, workload: Workload, target: Host) -> str | None:
    """A sentence when the host cannot take the workload within the policy and the rules, or None."""
    if reason := why_closed(target) or why_incompatible(workload, target):
        return f"{reason}."
    own = {workload.id, arriving_id(workload.id, target.id)}
    there = [row for row in data_center.workloads if row.host == target.id and row.id not in own]
    for mate in there:
        if shared := set(mate.anti_affinity) & set(workload.anti_affinity):
            return f"{mate.label} of the same group {min(shared)} is on {target.label}; the two never share a host."
    by_the_hour = _is_by_the_hour(policy, (workload, *there))
    for label, unit, need, limit in _dimensions(policy, target):
        if label == "CPU" and by_the_hour:
            continue
        free = limit - sum(need(row) for row in there)
        if need(workload) > free + TOLERANCE:
            return (
                f"{target.label} has {max(0.0, free):,.1f} {unit} of {label} left under the policy, less than the "
                f"{need(workload):,.1f} {unit} that {workload.label} needs."
            )
    return _why_full_by_the_hour(policy, workload, target, there)


def _why_full_by_the_hour(policy: Policy, workload: Workload, target: Host, there: list[Workload]) -> str | None:
    """The first hour of the week in which the CPU would not do, where the policy plans by hours."""
    if not _is_by_the_hour(policy, (workload, *there)) or target.capacity.cpu_cores is None:
        return None
    limit = target.capacity.cpu_cores * (1 - policy.cpu_headroom)
    needs = [_cpu_by_the_hour(row, policy) for row in (workload, *there)]
    for hour, total in enumerate(map(sum, zip(*needs, strict=True))):
        if total > limit + TOLERANCE:
            return (
                f"{target.label} would need {total:,.1f} cores at {hour % 24:02}:00 on day {hour // 24 + 1} of a week, "
                f"more than the {limit:,.1f} cores that the policy leaves it."
            )
    return None


def _is_by_the_hour(policy: Policy, rows: Iterable[Workload]) -> bool:
    return policy.use_profiles and any(row.profile is not None for row in rows)


def _cpu_by_the_hour(row: Workload, policy: Policy) -> tuple[float, ...]:
    """The hours of the workload's profile that is there; without one, its one number all week."""
    profile = row.profile or Profile()
    several = (profile.cpu_cores_p50, profile.cpu_cores, profile.cpu_cores_p99, profile.cpu_cores_peak)
    return next((hours for hours in several if hours), (_cpu(row, policy),) * HOURS)


def fullness(data_center: DataCenter, policy: Policy, target: Host) -> float:
    """How much of the host's tightest limit is taken, 0 to 1."""
    there = [row for row in data_center.workloads if row.host == target.id]
    return max(shares_taken(policy, target, there).values(), default=0.0)


def shares_taken(policy: Policy, host: Host, there: Iterable[Workload]) -> dict[str, float]:
    """How much of each of the host's limits these workloads take, 0 to 1, by "CPU", "memory" and "disk"."""
    rows = list(there)
    return {label: sum(map(need, rows)) / limit for label, _, need, limit in _dimensions(policy, host) if limit}


def _cpu(row: Workload, policy: Policy) -> float:
    p95 = row.observed_p95.cpu_cores if row.observed_p95 else None
    return max((row.allocation.cpu_cores or 0.0) / policy.cpu_overcommit, p95 or 0.0)


def _dimensions(policy: Policy, host: Host) -> list[tuple[str, str, Need, float]]:
    """Label, unit, what a workload needs, and what the host gives, of every limit that the host has."""

    def cpu(row: Workload) -> float:
        return _cpu(row, policy)

    def memory(row: Workload) -> float:
        p95 = row.observed_p95.memory_mib if row.observed_p95 else None
        return max((row.allocation.memory_mib or 0.0) / policy.memory_overcommit, p95 or 0.0)

    def disk(row: Workload) -> float:
        return row.allocation.disk_gib or 0.0

    gives = host.capacity
    rows = [
        ("CPU", "cores", cpu, gives.cpu_cores, policy.cpu_headroom),
        ("memory", "MiB", memory, gives.memory_mib, policy.memory_headroom),
        ("disk", "GiB", disk, gives.disk_gib, policy.disk_headroom),
    ]
    return [
        (label, unit, need, capacity * (1 - headroom))
        for label, unit, need, capacity, headroom in rows
        if capacity is not None
    ]
