"""Right-sizing: what workloads were given against what they use."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .demand import profile_names
from .model import DataCenter, Policy, Workload
from .validation import check_input

TOO_MUCH = 0.5  # of what was given: using less than this share is worth a smaller size
TOO_LITTLE = 0.9  # using more than this share asks for a larger one
STEPS = {"cpu_cores": (1.0, "cores"), "memory_mib": (256.0, "MiB")}


@dataclass(frozen=True, slots=True)
class RightSize:
    """What to give a workload of one resource, and why. `used` is its highest known demand."""

    workload: str
    resource: str
    given: float
    used: float
    better: float
    sentence: str


def right_sizes(data_center: DataCenter, policy: Policy, margin: float = 0.25) -> tuple[RightSize, ...]:
    """Workloads given far too much or nearly too little, the largest change first as a share of what was given.

    The better size is the highest demand known with `margin` on top, in whole cores and steps of 256 MiB. Without
    history there is nothing to say.
    """
    check_input(data_center, policy)
    found = [size for item in data_center.workloads for size in _sizes(item, margin)]
    return tuple(sorted(found, key=lambda size: (-abs(size.better / size.given - 1), size.workload, size.resource)))


def highest_demand(workload: Workload, resource: str) -> tuple[float, str] | None:
    """The highest demand known, and what is known: the record, the profile, or a p95 only; None without history."""
    series = getattr(workload.series, resource, ())
    if series:
        return max(series), f"peak of {len(series):,} recorded steps"
    for name, what in zip(reversed(profile_names(resource)), ("peak", "p99", "p95", "p50"), strict=True):
        hours = getattr(workload.profile, name, ())
        if hours:
            return max(hours), f"highest {what} of any hour of the week"
    observed = getattr(workload.observed_p95, resource, None)
    return None if observed is None else (observed, "p95")


def _sizes(workload: Workload, margin: float) -> Iterator[RightSize]:
    for resource, (step, unit) in STEPS.items():
        given, known = getattr(workload.allocation, resource), highest_demand(workload, resource)
        if not given or known is None:
            continue
        used, what = known
        better = max(step, math.ceil(used * (1 + margin) / step - 1e-9) * step)
        shrinks, grows = used < TOO_MUCH * given and better < given, used > TOO_LITTLE * given and better > given
        if shrinks or grows:
            sentence = (
                f"Give {workload.label} {better:,.0f} {unit} instead of {given:,.0f}: it uses {used:,.2f} "
                f"({what}), and {margin:.0%} on top is {used * (1 + margin):,.2f}."
            )
            yield RightSize(workload.id, resource, given, used, better, sentence)
