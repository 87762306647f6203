"""What is known of how hosts wake: the last proof of each, and how long wakes take."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hosts.models import Site, Wake

COUNTED_FOR = timedelta(days=180)


@dataclass(frozen=True)
class WakeTimes:
    """Seconds of passed wakes: how many there were, the middle one, and the one that 95 % do not exceed."""

    count: int
    median_s: float | None
    p95_s: float | None


def wake_times(seconds: Iterable[float]) -> WakeTimes:
    """By nearest rank: each figure is a wake that happened. Nothing is interpolated."""
    ordered = sorted(seconds)
    return WakeTimes(len(ordered), nearest_rank(ordered, 50), nearest_rank(ordered, 95))


def nearest_rank(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent do not exceed; None of nothing."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def wakes_of(site: Site, now: datetime) -> list[Wake]:
    """All wakes of the site's hosts in the last 180 days, oldest first; one query."""
    rows = Wake.objects.filter(host__rack__site=site, began_at__gt=now - COUNTED_FOR).select_related("host")
    return list(rows.order_by("began_at"))


def seconds_of(wakes: Iterable[Wake]) -> list[float]:
    """What the passed ones took."""
    return [wake.seconds for wake in wakes if wake.passed and wake.seconds is not None]
