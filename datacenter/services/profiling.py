"""Demand profiles: refreshed every hour from the five-minute store, in bulk. decisions/0017.

Of the week, only the hours that have passed since the last time are worked out anew, from the same hours of the last
four weeks. Where much is missing (the first time), a run does a day of the week and says how to go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Max

from datacenter.metrics.past_weeks import KEYS, HourSamples, Sampled, hours_read
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.week import HOURS, Week
from datacenter.models import DemandProfile
from workloads.models import Workload

HOURS_A_RUN = 24
POINTS_A_QUERY = 400_000  # of 12 buckets an hour; more than these would fill the worker's memory
ROWS_AT_ONCE = 500  # written in one transaction: others write in between


def profiles_refresh(store: MetricsStore, now: datetime, since: datetime | None = None) -> datetime | None:
    """Works the profiles out up to the last full hour, a day of them at most; where to go on, None when done.

    `since`: up to where an earlier run came. Raises Unreachable, TimedOut or Rejected; what is written stays good.
    """
    # hours of the wall clock, so that the same hour of another week is found by subtracting days
    until = now.astimezone(ZoneInfo(settings.TIME_ZONE)).replace(minute=0, second=0, microsecond=0)
    start = _due_from(until, since)
    end = min(until, start + timedelta(hours=HOURS_A_RUN))
    if start >= until:
        return None
    known = {str(pk) for pk in Workload.objects.exclude(state=Workload.State.GONE).values_list("pk", flat=True)}
    for resource in KEYS:
        for first, hours in _slices(start, end, len(known)):
            _write(resource, hours_read(store, resource, first, hours), known, _hours_between(first, hours), end)
    return end if end < until else None


def _due_from(until: datetime, since: datetime | None) -> datetime:
    last = since or DemandProfile.objects.aggregate(last=Max("refreshed_until"))["last"]
    week_ago = until - timedelta(hours=HOURS)
    return max(week_ago, last.astimezone(until.tzinfo)) if last else week_ago


def _slices(start: datetime, end: datetime, workloads: int) -> Iterator[tuple[datetime, int]]:
    """The hours from start to end in pieces whose answers are not too large."""
    most = max(1, POINTS_A_QUERY // (max(1, workloads) * 12))
    while start < end:
        hours = min(most, round((end - start) / timedelta(hours=1)))
        yield start, hours
        start += timedelta(hours=hours)


def _hours_between(first: datetime, hours: int) -> list[int]:
    begin = first.weekday() * 24 + first.hour
    return [(begin + number) % HOURS for number in range(hours)]


def _write(resource: str, sampled: Sampled, known: set[str], hours: list[int], until: datetime) -> None:
    """Puts the hours into the profiles of those sampled, and empties them in those of others."""
    stored = {str(pk): bytes(cells) for pk, cells in _stored(resource)}
    emptied = [uuid for uuid in stored.keys() - sampled.keys() if _has_any(stored[uuid], hours)]
    uuids = [*(uuid for uuid in sampled if uuid in known), *emptied]
    for at in range(0, len(uuids), ROWS_AT_ONCE):
        batch = uuids[at : at + ROWS_AT_ONCE]
        _upsert(
            [
                _row(uuid, resource, _filled(stored.get(uuid, b""), sampled.get(uuid, {}), hours), until)
                for uuid in batch
            ]
        )


def _stored(resource: str) -> Iterator[tuple[UUID, bytes | memoryview]]:
    return DemandProfile.objects.filter(resource=resource).values_list("workload_id", "hours").iterator(ROWS_AT_ONCE)


def _has_any(packed: bytes, hours: list[int]) -> bool:
    counts = Week(packed).counts
    return any(counts[hour] for hour in hours)


def _filled(packed: bytes, sampled: Mapping[int, HourSamples], hours: list[int]) -> Week:
    week = Week(packed)
    for hour in hours:
        samples = sampled.get(hour)
        week.put(hour, samples.values if samples else (), samples.peaks if samples else ())
    return week


def _row(uuid: str, resource: str, week: Week, until: datetime) -> DemandProfile:
    row = DemandProfile(workload_id=UUID(uuid), resource=resource, hours=week.packed)
    row.refreshed_until = until.astimezone(UTC)
    return row


def _upsert(profiles: list[DemandProfile]) -> None:
    DemandProfile.objects.bulk_create(
        profiles,
        update_conflicts=True,
        unique_fields=["workload", "resource"],
        update_fields=["hours", "refreshed_until"],
    )
