"""A workload's demand profiles as they are drawn: a week of hours, light where little and dark where much is used."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from datacenter.metrics.week import HOURS, STATISTICS, Week
from datacenter.models import DemandProfile

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LEVELS = 9
HOURS_TOLD_LEAST = 24  # from so many on, busiest and quietest mean something
_KNOWN_WELL = 12  # five-minute samples: an hour that was hardly seen is not called the quietest
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True)
class Cell:
    """One hour: its place, its darkness from 0 (least) to 9, None where nothing is known, and its figures in words."""

    column: int
    row: int
    level: int | None
    words: str


@dataclass(frozen=True)
class Drawing:
    """One resource's week."""

    resource: str
    title: str
    cells: list[Cell]
    sentence: str


def weeks_of(workload_id: UUID) -> list[Drawing]:
    """The profiles of a workload, CPU first; empty before the first was made. One query."""
    rows = {row.resource: row for row in DemandProfile.objects.filter(workload=workload_id)}
    return [
        drawing_of(rows[resource], str(label)) for resource, label in DemandProfile.Resource.choices if resource in rows
    ]


def drawing_of(row: DemandProfile, label: str) -> Drawing:
    week = Week(row.hours)
    p95 = week.hours_of("p95")
    most = max((value for value in p95 if value is not None), default=0.0)
    figures = {name: week.hours_of(name) for name in STATISTICS}
    cells = [
        Cell(hour % 24, hour // 24, _level(p95[hour], most), _words(hour, figures, week.counts[hour], row.resource))
        for hour in range(HOURS)
    ]
    return Drawing(row.resource, label[:1].upper() + label[1:], cells, _sentence(week, row.resource))


def _level(value: float | None, most: float) -> int | None:
    if value is None:
        return None
    return min(LEVELS, int(LEVELS * value / most + 0.5)) if most > 0 else 0


def _words(hour: int, figures: dict[str, list[float | None]], count: int, resource: str) -> str:
    if not count:
        return f"{hour_said(hour)}: nothing known"
    told = ", ".join(f"{name} {amount(values[hour], resource)}" for name, values in figures.items())
    return f"{hour_said(hour)}: {told}; {count} samples"


def _sentence(week: Week, resource: str) -> str:
    """The busiest and the quietest hour, by p95."""
    known = week.hours_known
    if known < HOURS_TOLD_LEAST:
        return f"Only {known} of the 168 hours of the week are known yet."
    p95, counts = week.hours_of("p95"), week.counts
    seen = [hour for hour in range(HOURS) if counts[hour] >= _KNOWN_WELL] or [h for h in range(HOURS) if counts[h]]
    busiest, quietest = max(seen, key=lambda hour: p95[hour] or 0.0), min(seen, key=lambda hour: p95[hour] or 0.0)
    if (p95[busiest] or 0.0) < 1.1 * (p95[quietest] or 0.0):
        return f"It uses about the same all week: p95 {amount(p95[busiest], resource)} in its busiest hour."
    return (
        f"Busiest on {hour_said(busiest)} (p95 {amount(p95[busiest], resource)}), "
        f"quietest on {hour_said(quietest)} ({amount(p95[quietest], resource)})."
        + (f" {HOURS - known} hours are not known yet." if known < HOURS else "")
    )


def hour_said(hour: int) -> str:
    """ "Tuesday, 14:00 to 15:00"."""
    return f"{DAYS[hour // 24]}, {hour % 24:02}:00 to {(hour % 24 + 1) % 24:02}:00"


def amount(value: float | None, resource: str) -> str:
    """A figure of that resource in words."""
    if value is None:
        return "not known"
    if resource == "cpu":
        return f"{value:.3g} cores"
    size, step = float(value), 0
    while size >= 1024 and step < len(_SIZES) - 1:
        size, step = size / 1024, step + 1
    rate = "" if resource == "memory" else "/s"
    return f"{size:.0f} {_SIZES[step]}{rate}" if size >= 100 else f"{size:.3g} {_SIZES[step]}{rate}"
