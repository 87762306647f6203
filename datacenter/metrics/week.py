"""A week of demand: for each of its 168 hours the median, p95, p99 and peak, and how many samples they rest on.

Packed as 168 x 5 little-endian floats of four bytes, hour by hour from Monday 00:00 local time. An hour in which
nothing was sampled has no figures and a count of 0.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from datetime import datetime

HOURS = 168
STATISTICS = ("median", "p95", "p99", "peak")
_WIDTH = len(STATISTICS) + 1
_QUANTILES = (0.5, 0.95, 0.99)


class Week:
    """One packed week, to read and to fill hour by hour."""

    def __init__(self, packed: bytes | memoryview = b"") -> None:
        self._cells = array("f", bytes(4 * HOURS * _WIDTH))
        if len(packed) == 4 * HOURS * _WIDTH:
            self._cells = array("f", bytes(packed))
            if sys.byteorder == "big":
                self._cells.byteswap()

    @property
    def packed(self) -> bytes:
        cells = self._cells
        if sys.byteorder == "big":
            cells = array("f", cells)
            cells.byteswap()
        return cells.tobytes()

    def put(self, hour: int, values: Sequence[float], peaks: Sequence[float]) -> None:
        """What was sampled in that hour of several weeks; nothing at all empties the hour."""
        ordered = sorted(values)
        row = [*(quantile(ordered, share) for share in _QUANTILES), max(peaks or ordered)] if ordered else [0.0] * 4
        self._cells[hour * _WIDTH : (hour + 1) * _WIDTH] = array("f", [*row, float(len(ordered))])

    def hours_of(self, statistic: str) -> list[float | None]:
        """The statistic hour by hour; None where nothing is known."""
        offset = STATISTICS.index(statistic)
        values, counts = self._cells[offset::_WIDTH], self._cells[_WIDTH - 1 :: _WIDTH]
        return [value if count else None for value, count in zip(values, counts, strict=True)]

    @property
    def counts(self) -> list[int]:
        """How many samples each hour rests on."""
        return [int(count) for count in self._cells[_WIDTH - 1 :: _WIDTH]]

    @property
    def hours_known(self) -> int:
        return sum(count > 0 for count in self.counts)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of ascending values, between neighbours in proportion, as PromQL's quantile_over_time does."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def hour_of_week(moment: datetime) -> int:
    """0 for Monday 00:00 to 01:00 of the moment's own clock."""
    return moment.weekday() * 24 + moment.hour
