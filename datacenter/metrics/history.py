"""Lines for the charts of hosts, workloads and sites over any range, from the raw store or the five-minute one.

A chart costs one query, whatever lines it has: they are told apart by a label `line` that the query sets. Where
nothing was sampled there is no value: a gap in the line, neither a bridge nor a drop to zero.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

from django.conf import settings

from datacenter.metrics.aggregates import BUCKET_S
from datacenter.metrics.spans import SAMPLED_EVERY_S, Span
from datacenter.metrics.store import MetricsStore, Series, quoted
from datacenter.metrics.topics import TOPICS, Row, ThingKind

STORE_TIMEOUT_S = 3.0
HOUR_S = 3600
SITE_WINDOW_S = 30.0  # a host that is a little late must not make a dip in a sum over hosts
# Sooner than this after the one before, a sample follows without a gap: one that is missing makes 10 s.
GAP_S = 1.8 * SAMPLED_EVERY_S
Values = list[float | None]


@dataclass(frozen=True)
class Thing:
    """What a line is about. `id` is a UUID, for a site its name; both must come from the database."""

    kind: ThingKind
    id: str
    name: str

    @property
    def source(self) -> str:
        """Under which its newest values come; empty for a site, whose sums nobody sends."""
        return "" if self.kind == "site" else f"{self.kind}:{self.id}"

    @property
    def matcher(self) -> str:
        label = "site" if self.kind == "site" else f"{self.kind}_uuid"
        return f'{label}="{quoted(self.id)}"'


@dataclass(frozen=True)
class Line:
    """One line of a chart; a value for each of the chart's times, None where nothing is known.

    `low`, `high` and `p95` are those of the samples behind each point, empty where a point is one sample.
    `source`, `field` and `scale` say which newest value goes on with it: value x scale, a counter by its growth.
    """

    label: str
    unit: str
    values: Values
    low: Values = field(default_factory=list)
    high: Values = field(default_factory=list)
    p95: Values = field(default_factory=list)
    is_limit: bool = False
    source: str = ""
    field: str = ""
    scale: float = 1.0
    is_counter: bool = False


@dataclass(frozen=True)
class History:
    """The lines of one chart over their common times (epoch seconds, ascending)."""

    times: list[float]
    lines: list[Line]


@dataclass(frozen=True)
class Wanted:
    """A line that is asked for."""

    thing: Thing
    row: Row
    label: str


def wanted_of(topic: str, things: Sequence[Thing]) -> list[Wanted]:
    """The lines of one thing's chart; of several things that of the first row for each, under the thing's name."""
    if len(things) == 1:
        thing = things[0]
        return [Wanted(thing, row, row.label) for row in TOPICS[thing.kind][topic].rows]
    first = [(thing, TOPICS[thing.kind][topic].rows[0]) for thing in things if topic in TOPICS[thing.kind]]
    return [Wanted(thing, row, f"{thing.name}: {row.label}") for thing, row in first]


def history(wanted: Sequence[Wanted], span: Span, store: MetricsStore | None = None) -> History:
    """The lines that have any value. Blocks for about 3 s at most; raises Unreachable, TimedOut or Rejected."""
    store = store or store_at(settings.METRICS_LONG_URL if span.is_long else settings.METRICS_URL)
    if span.is_each_sample and len({one.thing for one in wanted}) == 1 and wanted[0].thing.kind != "site":
        return _each_sample(wanted, span, store)
    return _in_steps(wanted, span, store)


@cache
def store_at(url: str) -> MetricsStore:
    """The client of that store, kept for the life of the process: making one costs more than asking it."""
    return MetricsStore(url, timeout_s=STORE_TIMEOUT_S)


# -- points of many samples each ----------------------------------------------------------------------------

STATISTICS = ("avg", "low", "high", "p95")


def promql_of(wanted: Sequence[Wanted], span: Span) -> str:
    """One query for all lines: each series carries `line`, "<number> <statistic>"."""
    parts = []
    for number, one in enumerate(wanted):
        for statistic, promql in _statistics(one, span):
            parts.append(f'label_replace({promql}, "line", "{number} {statistic}", "", "")')
    return " or ".join(parts)


def _statistics(one: Wanted, span: Span) -> Iterator[tuple[str, str]]:
    row, is_site = one.row, one.thing.kind == "site"
    yield "avg", _joined(row, _over(row, one.thing, span, "avg"))
    if row.is_limit or is_site or row.join == "count":
        return  # the lows of many hosts do not fall together: their sum was never seen
    if not row.is_counter:
        yield "low", _joined(row, _over(row, one.thing, span, "min"))
    if span.is_long or not row.is_counter:
        yield "high", _joined(row, _over(row, one.thing, span, "max"))
    if span.is_long:
        yield "p95", _joined(row, _over(row, one.thing, span, "p95"))


_FUNCTIONS = {
    "avg": "avg_over_time(",
    "min": "min_over_time(",
    "max": "max_over_time(",
    "p95": "quantile_over_time(0.95, ",
}


def _over(row: Row, thing: Thing, span: Span, statistic: str) -> str:
    window_s = max(span.step_s, 2 * row.sampled_every_s, SITE_WINDOW_S if thing.kind == "site" else 0.0)
    aggregate = statistic if span.is_long else ""  # "": one store may serve as both
    selector = f'{row.metric.name}{{{thing.matcher},aggregate="{aggregate}"}}'
    if span.is_long:
        return _over_buckets(selector, span, _FUNCTIONS[statistic])
    if row.is_counter:
        # without a sample, and at the first one behind a gap, nothing is known: VictoriaMetrics would say 0
        is_sampled = f"count_over_time({selector}[{window_s:g}s])"
        has_two = f"(count_over_time({selector}[{window_s + GAP_S:g}s]) > 1)"
        return f"(rate({selector}[{window_s:g}s]) and {is_sampled} and {has_two})"
    return f"{_FUNCTIONS[statistic]}{selector}[{window_s:g}s])"


def _over_buckets(selector: str, span: Span, function: str) -> str:
    """Over five-minute buckets, whose last version counts where one was made again.

    Over many of them both versions count: it makes no difference that is seen, and a store evaluates only so many steps
    of a subquery (VictoriaMetrics: 100,000, which is less than a year).
    """
    bucket = f"last_over_time({selector}[{BUCKET_S}s])"
    if span.step_s <= BUCKET_S:
        return bucket
    over = f"{bucket}[{span.step_s:g}s:{BUCKET_S}s]" if span.step_s <= HOUR_S else f"{selector}[{span.step_s:g}s]"
    return f"{function}{over})"


def _joined(row: Row, promql: str) -> str:
    return f"{row.join}({promql})"


def _in_steps(wanted: Sequence[Wanted], span: Span, store: MetricsStore) -> History:
    first, last = span.grid
    times = span.times
    found = store.query_range(promql_of(wanted, span), first, last, span.step_s) if wanted else []
    by_line = {series.labels.get("line", ""): series for series in found}
    lines = []
    for number, one in enumerate(wanted):
        values = {name: _placed(by_line.get(f"{number} {name}"), span, len(times)) for name in STATISTICS}
        if values["avg"]:
            lines.append(_line(one, values["avg"], values["low"], values["high"], values["p95"]))
    times[-1] = min(times[-1], max(span.end, times[-1] - span.step_s + 1))  # what is known so far of the last step
    return _without_unsampled_end(times, lines)


def _placed(series: Series | None, span: Span, count: int) -> Values:
    if series is None:
        return []
    first, _ = span.grid
    values: Values = [None] * count
    for at, value in series.points:
        number = round((at - first) / span.step_s)
        if 0 <= number < count:
            values[number] = _rounded(value)
    return values


def _without_unsampled_end(times: list[float], lines: list[Line]) -> History:
    """Drops a last point that no line has yet: its step has just begun."""
    if times and lines and all(line.values[-1] is None for line in lines):
        times.pop()
        for line in lines:
            for values in (line.values, line.low, line.high, line.p95):
                if values:
                    values.pop()
    return History(times, lines)


# -- each sample a point ------------------------------------------------------------------------------------


def _each_sample(wanted: Sequence[Wanted], span: Span, store: MetricsStore) -> History:
    """The samples of one thing with their own times; a counter's rate by its growth since the sample before."""
    thing = wanted[0].thing
    names = "|".join(sorted({one.row.metric.name for one in wanted}))
    selector = f'{{__name__=~"{names}",{thing.matcher},aggregate=""}}'
    found = store.samples(selector, span.end - span.start, span.end)
    by_line = [
        _points(one.row, [row for row in found if row.labels.get("__name__") == one.row.metric.name]) for one in wanted
    ]
    times = _with_gaps(sorted({at for series in found for at, _ in series.points}))
    lines = [
        _line(one, [points.get(at) for at in times]) for one, points in zip(wanted, by_line, strict=True) if points
    ]
    return History(times, lines)


def _points(row: Row, found: Iterable[Series]) -> dict[float, float]:
    """Value by time, the parts of the thing (disks, sensors) joined as the row says."""
    joined: dict[float, float] = {}
    for series in found:
        for at, value in _rates(series.points) if row.is_counter else series.points:
            joined[at] = max(joined.get(at, value), value) if row.join == "max" else joined.get(at, 0.0) + value
    return {at: _rounded(value) for at, value in joined.items()}


def _rates(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Growth a second between neighbours; a counter that fell began anew at zero. Nothing across a gap."""
    gap_s = _gap_s([at for at, _ in points])
    for (before_at, before), (at, value) in pairwise(points):
        if 0 < at - before_at <= gap_s:
            yield at, (value - before if value >= before else value) / (at - before_at)


def _with_gaps(times: list[float]) -> list[float]:
    """The times with one more, at which nothing is known, wherever a sample is missing."""
    gap_s = _gap_s(times)
    filled = times[:1]
    for before, after in pairwise(times):
        if after - before > gap_s:
            filled.append((before + after) / 2)
        filled.append(after)
    return filled


def _gap_s(times: Sequence[float]) -> float:
    """From what distance on a sample is missing; a store that another sampler feeds may have its own distances."""
    distances = [after - before for before, after in pairwise(times)]
    return max(GAP_S, 1.8 * statistics.median_low(distances)) if distances else GAP_S


def _line(
    one: Wanted, values: Values, low: Values | None = None, high: Values | None = None, p95: Values | None = None
) -> Line:
    row, thing = one.row, one.thing
    is_live = thing.source and row.join != "count" and not row.metric.part
    return Line(
        label=one.label,
        unit=row.unit,
        values=values,
        low=low or [],
        high=high or [],
        p95=p95 or [],
        is_limit=row.is_limit,
        source=thing.source if is_live else "",
        field=row.metric.key if is_live else "",
        scale=row.metric.scale,
        is_counter=row.is_counter,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")
