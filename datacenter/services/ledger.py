"""Keeping the savings ledger: intervals begun and ended, days closed. Safe to run at any time, by several at once.

An interval begins with the end of the operation by which a plan switched the host off, and ends with the next
operation that woke it, or when somebody else switched it on. Each row is made under a unique constraint and never
changed once its day is closed, so of two that keep the ledger at once one finds it kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Max

from datacenter.metrics.store import MetricsStore, quoted
from datacenter.models import OffInterval, Plan, PlanAction, SavedDay, Tariff
from datacenter.services.savings import tariff_of
from hosts.models import Host, Operation

WAKING = ("host_power_on",)
LEARNT_FROM = "24h"  # of readings before the host went dark: the lowest twentieth is what it draws idle
DAY = timedelta(days=1)
Watts = Callable[[OffInterval, datetime, datetime], float | None]


def ledger_keep(now: datetime, store: MetricsStore, long_store: MetricsStore) -> None:
    """Begins and ends intervals and closes the days before today.

    Asks the stores for watts that BMCs have measured; raises DriverError when one is away: the next run goes on.
    """
    for action in _unnoted():
        _begin(action, store)
    for interval in OffInterval.objects.filter(ended_at=None).select_related("host"):
        if (ended_at := _end_of(interval, now)) is not None:
            OffInterval.objects.filter(pk=interval.pk, ended_at=None).update(ended_at=max(ended_at, interval.began_at))
    rows = OffInterval.objects.select_related("site", "host").annotate(last_closed=Max("days__day"))
    for interval in rows:
        ended_at, last_closed = interval.ended_at, interval.last_closed
        if ended_at is None or last_closed is None or last_closed < ended_at.astimezone(UTC).date():
            _close_days(interval, now, long_store)  # the others are closed to their end


def _unnoted() -> list[PlanAction]:
    """Hosts that plans have switched off and that are not in the ledger yet."""
    rows = PlanAction.objects.filter(
        kind=PlanAction.Kind.POWER_OFF, state=PlanAction.State.DONE, off_interval=None, source__isnull=False
    )
    return list(rows.exclude(operation=None).select_related("plan__site", "source", "operation"))


def _begin(action: PlanAction, store: MetricsStore) -> None:
    host, operation = action.source, action.operation
    if host is None or operation is None or operation.finished_at is None:
        return
    measured = _measured_idle(store, host, operation.finished_at)
    try:
        with transaction.atomic():
            OffInterval.objects.create(
                site=action.plan.site,
                action=action,
                plan=action.plan,
                host=host,
                host_name=host.name,
                began_at=operation.finished_at,
                idle_watts=host.idle_watts if measured is None else measured,
                is_measured=measured is not None,
                predicted_watts=predicted_watts(action.plan),
                rack_units=host.rack_units,
                cores=host.cpu_cores,
            )
    except IntegrityError:
        return  # somebody else was faster


def predicted_watts(plan: Plan) -> float:
    """What the plan said that each host it switches off saves, in equal parts; 0 where it said nothing."""
    freed = plan.actions.filter(kind=PlanAction.Kind.POWER_OFF).count()
    saved = plan.savings.get("before_watts", 0.0) - plan.savings.get("after_watts", 0.0)
    return max(0.0, saved / freed) if freed else 0.0


def _measured_idle(store: MetricsStore, host: Host, at: datetime) -> float | None:
    selector = f'stowage_host_power_watts{{host_uuid="{quoted(str(host.pk))}"}}'
    return _value(store, f"quantile_over_time(0.05, {selector}[{LEARNT_FROM}])", at)


def _measured_off(store: MetricsStore, host_id: object, began: datetime, ended: datetime) -> float | None:
    """What the host drew while it was off, as its BMC measured."""
    length_s = int((ended - began).total_seconds())
    if length_s <= 0:
        return None
    selector = f'stowage_host_power_watts{{host_uuid="{quoted(str(host_id))}"}}'
    return _value(store, f"avg_over_time({selector}[{length_s}s])", ended)


def _value(store: MetricsStore, promql: str, at: datetime) -> float | None:
    series = store.query(promql, at.timestamp())
    return series[0].points[0][1] if series and series[0].points else None


def _end_of(interval: OffInterval, now: datetime) -> datetime | None:
    """When the host was on again; None while it is off, or nobody knows."""
    host = interval.host
    if host is None:
        return now  # it was removed: nobody keeps it off any more
    woken = Operation.objects.filter(
        kind__in=WAKING, subject_id=str(host.pk), state=Operation.State.DONE, created_at__gte=interval.began_at
    )
    if (first := woken.order_by("created_at").first()) is not None:
        return first.created_at
    if host.power != Host.Power.ON:
        return None
    seen_at = host.power_read_at
    return seen_at if seen_at is not None and seen_at > interval.began_at else now


def _close_days(interval: OffInterval, now: datetime, store: MetricsStore) -> None:
    last = min(interval.ended_at or now, now)
    closed = set(interval.days.values_list("day", flat=True))
    for day, began, ended in days_between(interval.began_at, last):
        # an interval that ended today may not be closed yet either: the day may hold another reading
        if day < now.astimezone(UTC).date() and day not in closed:
            off_watts = _measured_off(store, interval.host_id, began, ended) if interval.is_measured else None
            row = saved_day(interval, tariff_of(interval.site), day, began, ended, off_watts)
            SavedDay.objects.bulk_create([row], ignore_conflicts=True)


def days_between(began_at: datetime, ended_at: datetime) -> Iterator[tuple[date, datetime, datetime]]:
    """Each day (UTC) that the time touches, with the part of it that is on that day."""
    start = began_at.astimezone(UTC)
    while start < ended_at:
        midnight = datetime.combine(start.date() + DAY, time(), UTC)
        yield start.date(), start, min(midnight, ended_at)
        start = midnight


def saved_day(
    interval: OffInterval, tariff: Tariff, day: date, began: datetime, ended: datetime, off_watts: float | None
) -> SavedDay:
    """What the interval saved between two moments of a day, not stored. `off_watts`: measured while off, if it was.

    The moved work draws elsewhere what it drew here, so what is saved is what the host draws without any.
    """
    seconds = (ended - began).total_seconds()
    watts = max(0.0, interval.idle_watts - (off_watts or 0.0))
    hours = seconds / 3600
    kwh = watts * tariff.pue * hours / 1000
    return SavedDay(
        interval=interval,
        day=day,
        seconds=seconds,
        watts=watts,
        is_measured=interval.is_measured,
        kwh=kwh,
        predicted_kwh=interval.predicted_watts * tariff.pue * hours / 1000,
        money=kwh * float(tariff.price_per_kwh),
        currency=tariff.currency,
        co2_kg=kwh * tariff.carbon_g_per_kwh / 1000,
    )
