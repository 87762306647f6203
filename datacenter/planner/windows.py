"""No-move hours: what must not move while a plan runs."""

from __future__ import annotations

import math

from .model import Host, Policy, Workload

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def why_fixed_now(workload: Workload, policy: Policy) -> str | None:
    """The sentence that keeps the workload where it is while this plan runs, or None when it may move."""
    closed = hours_of(policy) & set(workload.no_move_hours)
    if closed and not workload.why_fixed:
        return f"{workload.label} must not be moved on {_named(min(closed))}, and the plan may still run then"
    return workload.why_fixed


def why_closed_now(host: Host, policy: Policy) -> str | None:
    """Why nothing may move to the host or away from it while this plan runs, or None."""
    closed = hours_of(policy) & set(host.no_move_hours)
    if not closed:
        return None
    return f"nothing may move to {host.label} or away on {_named(min(closed))}, and the plan may still run then"


def hours_of(policy: Policy) -> set[int]:
    """Hours of the week in which the plan may run: the start is anywhere in its hour."""
    if policy.start_hour is None or policy.max_minutes is None:
        return set()
    count = math.ceil(policy.max_minutes / 60) + 1
    return {(policy.start_hour + hour) % 168 for hour in range(min(count, 168))}


def _named(hour: int) -> str:
    return f"{DAYS[hour // 24]} from {hour % 24:02}:00 to {hour % 24 + 1:02}:00"
