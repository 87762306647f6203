"""Which store a range is read from, and how far apart its points are."""

from __future__ import annotations

import pytest

from datacenter.metrics.spans import Span, span_of
from hosts.errors import Invalid

NOW = 1_800_000_000.0
DAY_S = 86400.0


def last(length_s: float, pixels: int = 800) -> Span:
    return span_of(NOW - length_s, NOW, NOW, pixels)


@pytest.mark.parametrize(
    ("length_s", "step_s", "is_long"),
    [
        (300, 5, False),
        (3600, 10, False),
        (6 * 3600, 60, False),
        (DAY_S, 300, True),
        (7 * DAY_S, 1800, True),
        (30 * DAY_S, 7200, True),
        (365 * DAY_S, 86400, True),
    ],
)
def test_the_step_fits_the_width_and_the_store_fits_the_step(length_s: float, step_s: float, is_long: bool):
    span = last(length_s)

    assert (span.step_s, span.is_long) == (step_s, is_long)
    assert len(span.times) <= 402


def test_what_the_raw_store_has_no_more_is_read_from_the_long_one():
    assert span_of(NOW - 40 * DAY_S, NOW - 40 * DAY_S + 3600, NOW).is_long
    assert not span_of(NOW - 20 * DAY_S, NOW - 20 * DAY_S + 3600, NOW).is_long


def test_a_wider_chart_gets_more_points():
    assert last(6 * 3600, pixels=3000).step_s < last(6 * 3600, pixels=300).step_s


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW, NOW),
        (NOW, NOW - 10),
        (NOW - 5, NOW),
        (NOW - 500 * DAY_S, NOW),
        (-10.0, 100.0),
        (float("nan"), NOW),
        (NOW, 9e15),
    ],
)
def test_a_range_that_cannot_be_is_refused_with_a_sentence(start: float, end: float):
    with pytest.raises(Invalid, match="A range of time"):
        span_of(start, end, NOW)
