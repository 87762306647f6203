"""The savings ledger as its page, the API and the download show it: by month and by plan, with today so far."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from datacenter.metrics.history_csv import cell
from datacenter.models import OffInterval, Plan, SavedDay
from datacenter.services.ledger import days_between, saved_day
from datacenter.services.savings import tariff_of

MONTHS_DRAWN = 12
CSV_HEADS = (
    "day (UTC)",
    "site",
    "plan",
    "host",
    "hours off",
    "watts saved at the server",
    "watts are",
    "kWh saved",
    "kWh predicted",
    "money",
    "currency",
    "CO2 kg",
    "is closed",
)


@dataclass
class Sum:
    """What some days saved together. Money by currency; `measured_kwh` is the part of `kwh` that BMCs measured."""

    kwh: float = 0.0
    measured_kwh: float = 0.0
    predicted_kwh: float = 0.0
    co2_kg: float = 0.0
    seconds: float = 0.0
    unit_seconds: float = 0.0
    core_seconds: float = 0.0
    money: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    hosts: set[str] = field(default_factory=set)

    def add(self, row: SavedDay) -> None:
        interval = row.interval
        self.kwh += row.kwh
        self.measured_kwh += row.kwh if row.is_measured else 0.0
        self.predicted_kwh += row.predicted_kwh
        self.co2_kg += row.co2_kg
        self.seconds += row.seconds
        self.unit_seconds += row.seconds * interval.rack_units
        self.core_seconds += row.seconds * interval.cores
        self.money[row.currency] += row.money
        self.hosts.add(interval.host_name)

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    @property
    def measured_percent(self) -> float:
        return 100 * self.measured_kwh / self.kwh if self.kwh else 0.0

    @property
    def against_predicted_percent(self) -> float | None:
        """What came about for each 100 that were predicted; None where nothing was."""
        return 100 * self.kwh / self.predicted_kwh if self.predicted_kwh else None

    @property
    def money_said(self) -> str:
        return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in sorted(self.money.items())) or "–"


@dataclass
class Month:
    """A month's sums; of rack units and cores the average over the month, as far as it has passed."""

    first: date
    passed_s: float
    sum: Sum

    @property
    def rack_units(self) -> float:
        return self.sum.unit_seconds / self.passed_s

    @property
    def cores(self) -> float:
        return self.sum.core_seconds / self.passed_s


@dataclass
class PlanLine:
    """What one plan has saved; the plan is None once it was removed."""

    plan: Plan | None
    sum: Sum


@dataclass(frozen=True)
class Bar:
    """A month in the chart of 12 x 10 by 40: what was saved, and a mark at what was predicted."""

    month: Month
    x: float
    y: float
    height: float
    mark_y: float


@dataclass(frozen=True)
class Ledger:
    """All that the page shows; newest first."""

    total: Sum
    months: list[Month]
    plans: list[PlanLine]
    bars: list[Bar]
    off_now: int


def days_of(now: datetime) -> list[SavedDay]:
    """Every day of the ledger, oldest first; days that are not closed yet as far as they have passed, without a key."""
    rows = list(SavedDay.objects.select_related("interval__plan__site", "interval__site__tariff").order_by("day", "pk"))
    closed = {(row.interval_id, row.day) for row in rows}
    for interval in OffInterval.objects.select_related("plan__site", "site__tariff"):
        for day, began, ended in days_between(interval.began_at, min(interval.ended_at or now, now)):
            if (interval.pk, day) not in closed:
                rows.append(saved_day(interval, tariff_of(interval.site), day, began, ended, None))
    return sorted(rows, key=lambda row: (row.day, row.interval_id))


def ledger_read(now: datetime) -> Ledger:
    """The ledger with its sums; three queries and one a site."""
    total, by_month, by_plan = Sum(), defaultdict[date, Sum](Sum), defaultdict[Any, Sum](Sum)
    plans: dict[Any, Plan | None] = {}
    for row in days_of(now):
        plans[row.interval.plan_id] = row.interval.plan
        for part in (total, by_month[row.day.replace(day=1)], by_plan[row.interval.plan_id]):
            part.add(row)
    months = [Month(first, _passed_s(first, now), part) for first, part in sorted(by_month.items(), reverse=True)]
    lines = [PlanLine(plans[plan_id], part) for plan_id, part in by_plan.items()]
    lines.sort(key=lambda line: line.plan.created_at if line.plan else datetime.min.replace(tzinfo=UTC), reverse=True)
    off_now = OffInterval.objects.filter(ended_at=None).count()
    return Ledger(total, months, lines, bars_of(months), off_now)


def _passed_s(first: date, now: datetime) -> float:
    """Seconds of the month that have passed."""
    began = datetime.combine(first, time(), UTC)
    length_s = calendar.monthrange(first.year, first.month)[1] * 86400.0
    return max(1.0, min(length_s, (now - began).total_seconds()))


def bars_of(months: Iterable[Month]) -> list[Bar]:
    """The newest twelve months, oldest first."""
    drawn = list(months)[:MONTHS_DRAWN][::-1]
    highest = max((max(month.sum.kwh, month.sum.predicted_kwh) for month in drawn), default=0.0) or 1.0
    bars = []
    for number, month in enumerate(drawn):
        height, mark = 36 * month.sum.kwh / highest, 36 * month.sum.predicted_kwh / highest
        bars.append(Bar(month, number * 10 + 1, 40 - height, height, 40 - mark))
    return bars


def csv_rows(now: datetime) -> Iterator[list[str]]:
    """The ledger day by day, as cells, the heads first."""
    yield list(CSV_HEADS)
    for row in days_of(now):
        interval = row.interval
        yield [
            row.day.isoformat(),
            cell(interval.site.name),
            str(interval.plan_id or ""),
            cell(interval.host_name),
            f"{row.seconds / 3600:.4f}",
            f"{row.watts:.1f}",
            "measured" if row.is_measured else "modelled",
            f"{row.kwh:.4f}",
            f"{row.predicted_kwh:.4f}",
            f"{row.money:.4f}",
            cell(row.currency),
            f"{row.co2_kg:.4f}",
            "yes" if row.pk else "no",
        ]
