"""When a schedule is due: once, or again and again by a cron expression in a time zone. Pure, given the time.

At a change to summer time a time that does not exist is due when the clock jumps past it; at one back, a time that
comes twice is due once.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from celery.schedules import ParseException, crontab
from cronsim import CronSim, CronSimError

from hosts.errors import Invalid

_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; raises Invalid."""
    if name not in available_timezones():
        raise Invalid(f"There is no time zone {name[:40]}. Write it like Europe/Vienna.", field="time_zone")
    return ZoneInfo(name)


def cron_check(expression: str) -> None:
    """Raises Invalid unless the expression has five fields that both we and the scheduler understand."""
    fields = expression.split()
    try:
        if len(fields) != 5:
            raise CronSimError("Wrong number of fields")
        CronSim(expression, datetime.now(UTC))
        # By name: celery's own order is another one, in which Sunday as 0 would be a day of the month.
        crontab(**dict(zip(_FIELDS, fields, strict=True)))
    except (CronSimError, ParseException, ValueError) as error:
        raise Invalid(
            "Write five fields: minute, hour, day of the month, month, day of the week. “30 6 * * 1-5” is half past six"
            f" on weekdays. ({error})",
            field="cron",
        ) from error


def next_due(expression: str, zone: str, after: datetime) -> datetime | None:
    """The first time after that moment, in UTC; None when there is none."""
    try:
        return next(CronSim(expression, after.astimezone(ZoneInfo(zone)))).astimezone(UTC)
    except StopIteration:
        return None


def all_due(expression: str, zone: str, after: datetime, until: datetime) -> list[datetime]:
    """Every time after the one moment and not after the other, oldest first, in UTC."""
    times = (time.astimezone(UTC) for time in CronSim(expression, after.astimezone(ZoneInfo(zone))))
    return list(takewhile(lambda time: time <= until, times))
