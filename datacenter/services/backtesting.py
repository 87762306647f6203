"""Backtests: a policy tried on what was recorded, day by day, beside what happened. Called by the plan worker alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from datacenter import planner as engine
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.week import hour_of_week, quantile
from datacenter.models import Policy
from datacenter.planner import model as planner
from datacenter.planner.replaying import Backtest, Happened, Hour
from datacenter.recorded import HOUR_S, Record, happened, record_read
from datacenter.snapshot import planner_policy
from hosts.errors import Invalid

LEARN_HOURS, DAY_HOURS = 168, 24
STORE_TIMEOUT_S = 60.0
Lines = tuple[tuple[str, str], ...]


def backtest_of(
    world: planner.DataCenter, policy: Policy, days: int, store: MetricsStore | None = None, now: float | None = None
) -> tuple[str, Lines]:
    """A sentence that compares, and a line for each day. Raises Invalid where too little was recorded."""
    site = policy.site.name
    end = (time.time() if now is None else now) // HOUR_S * HOUR_S
    asks = store or MetricsStore(settings.METRICS_LONG_URL, STORE_TIMEOUT_S)
    record = record_read(asks, site, end, LEARN_HOURS + days * DAY_HOURS)
    if record.hours < LEARN_HOURS + DAY_HOURS:
        raise Invalid(
            f"A backtest needs a week to learn from and a day to replay. {site} has {record.hours} hours on record: "
            f"ask again in {LEARN_HOURS + DAY_HOURS - record.hours} hours."
        )
    past = with_record(world, record, policy)
    was = happened(record, LEARN_HOURS, {row.id: row.host for row in past.workloads})
    found = engine.backtest(
        _begun_as(past, was[0]),
        replace(planner_policy(policy), use_profiles=policy.demand_by == Policy.DemandBy.PROFILES),
        learn_hours=LEARN_HOURS,
        happened=was,
    )
    return found.sentence, _days(found, record.start + LEARN_HOURS * HOUR_S)


def with_record(world: planner.DataCenter, record: Record, policy: Policy) -> planner.DataCenter:
    """The data center as it stands, with its workloads' recorded CPU in place of what is known of them today.

    Where the policy plans by p95, that of the week to learn from counts: nothing of what came later may be known.
    """
    start = datetime.fromtimestamp(record.start, ZoneInfo(settings.TIME_ZONE))
    return replace(
        world,
        workloads=tuple(
            _with_past(row, record.cores.get(row.id), policy) for row in world.workloads if " " not in row.id
        ),
        series_start_hour=hour_of_week(start),
    )


def _begun_as(past: planner.DataCenter, first: Happened) -> planner.DataCenter:
    """The replay begins with what was where, and with what was on, in its first hour."""
    on = frozenset(first.hosts_on)
    return replace(
        past,
        hosts=tuple(replace(host, is_on=host.id in on if on else host.is_on) for host in past.hosts),
        workloads=tuple(replace(row, host=first.placement[row.id]) for row in past.workloads),
    )


def _with_past(row: planner.Workload, cores: list[float] | None, policy: Policy) -> planner.Workload:
    row = replace(row, observed_p95=None, profile=None, movable=True, immovable_reason="")
    if cores is None:
        return row
    if policy.demand_by == Policy.DemandBy.P95:
        p95 = quantile(sorted(cores[:LEARN_HOURS]), 0.95)
        row = replace(row, observed_p95=planner.Resources(cpu_cores=p95))
    return replace(row, series=planner.Series(cpu_cores=tuple(cores)))


def _days(found: Backtest, start: float) -> Lines:
    zone = ZoneInfo(settings.TIME_ZONE)
    lines = []
    for begin in range(0, len(found.policy.hours), DAY_HOURS):
        day = datetime.fromtimestamp(start, zone) + timedelta(hours=begin)
        policy = found.policy.hours[begin : begin + DAY_HOURS]
        past = found.happened.hours[begin : begin + DAY_HOURS]
        lines.append((f"{day:%Y-%m-%d %H:%M}", f"{_told(policy)} with the policy; {_told(past)} as it happened."))
    return tuple(lines)


def _told(hours: Sequence[Hour]) -> str:
    """A day's figures in words, with the hosts on hour by hour."""
    on = [hour.hosts_on for hour in hours]
    span = f"{min(on)}" if min(on) == max(on) else f"{min(on)} to {max(on)}"
    kwh, moves, over = (
        sum(hour.watts for hour in hours) / 1000,
        sum(hour.moves for hour in hours),
        sum(hour.hosts_overloaded for hour in hours),
    )
    return (
        f"{span} hosts on ({' '.join(map(str, on))}), {kwh:,.1f} kWh, {moves} move{'' if moves == 1 else 's'}, "
        f"{over} overloaded host-hour{'' if over == 1 else 's'}"
    )
