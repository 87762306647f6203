"""How a range of time is read: from which store, how far apart the points are, and at which times they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

from datacenter.metrics.aggregates import BUCKET_S
from hosts.errors import Invalid

SHORTEST_S, LONGEST_S = 60.0, 400 * 86400.0
RAW_KEPT_S = 30 * 86400 - 3600.0  # a little less than the store's retention: its oldest part may go any moment
SAMPLED_EVERY_S = 5.0  # hosts/plane: a sample every 5 s, every second while somebody watches
STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
PIXELS_A_POINT = 2
POINTS_LEAST, POINTS_MOST = 60, 1000


@dataclass(frozen=True)
class Span:
    """A range and its step. `is_each_sample`: the samples themselves are read, with their own times."""

    start: float
    end: float
    step_s: float
    is_long: bool

    @property
    def is_each_sample(self) -> bool:
        return not self.is_long and self.step_s <= SAMPLED_EVERY_S

    @property
    def grid(self) -> tuple[float, float]:
        """First and last point, multiples of the step; the last one may be a part of a step that is not over."""
        first = math.floor(self.start / self.step_s) * self.step_s + self.step_s
        return first, max(first, math.ceil(self.end / self.step_s) * self.step_s)

    @property
    def times(self) -> list[float]:
        first, last = self.grid
        return [first + number * self.step_s for number in range(round((last - first) / self.step_s) + 1)]


def span_of(start: float, end: float, now: float, pixels: int = 800, coarsest: bool = False) -> Span:
    """The span from `start` to `end` (epoch seconds) for a chart of that width. Raises Invalid.

    With `coarsest` single samples are never read: lines of several things need common times.
    """
    if not end - start >= SHORTEST_S:
        raise Invalid("A range of time has at least one minute.", field="start")
    if end - start > LONGEST_S or start < 0 or end > now + LONGEST_S:
        raise Invalid("A range of time has at most 400 days.", field="start")
    points = min(POINTS_MOST, max(POINTS_LEAST, pixels // PIXELS_A_POINT))
    step_s = next((step for step in STEPS_S if step * points >= end - start), STEPS_S[-1])
    if coarsest:
        step_s = max(step_s, 10)
    is_long = step_s >= BUCKET_S or start < now - RAW_KEPT_S
    return Span(start, end, float(max(step_s, BUCKET_S) if is_long else step_s), is_long)
