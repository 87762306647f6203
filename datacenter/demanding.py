"""Which demand a site is planned by, as its policy says: allocations, p95 of history, or profiles by hour of the week.

CPU alone is planned by profiles. Memory stays promised: what a guest has once touched its host pays until the guest
ends, so a quiet hour gives no memory back. decisions/0017.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from datacenter.metrics.demand import Demand, demand_p95
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.week import Week, hour_of_week
from datacenter.models import DemandProfile, Policy
from datacenter.planner import model as planner
from hosts.models import Site

HOURS_KNOWN_LEAST = 24  # fewer tell nothing of a week
_DIGITS = 4


def demand_for(site: Site, policy: Policy, store: MetricsStore) -> dict[str, Demand]:
    """Demand by workload uuid; who is not in it is planned by its allocation. At most two queries to each store."""
    if policy.demand_by == Policy.DemandBy.ALLOCATION:
        return {}
    found = demand_p95(store, site.name, policy.history_hours)
    if policy.demand_by == Policy.DemandBy.PROFILES:
        for uuid, allocated, profile in _profiles(site, policy):
            hours = _hours(profile, allocated / policy.cpu_overcommit, policy.percentile)
            if hours:
                found[uuid] = replace(found.get(uuid, Demand()), profile=_profile(hours, policy.percentile))
    return found


def demand_coming(uuids: Iterable[str], now: datetime, hours: int) -> dict[str, float]:
    """CPU cores by workload uuid: the highest p95 of the hours of the week from now to `hours` later, where known.

    One query. Source: the profiles, whatever the policy plans by.
    """
    local = now.astimezone(ZoneInfo(settings.TIME_ZONE))
    wanted = {hour_of_week(local + timedelta(hours=ahead)) for ahead in range(hours + 1)}
    rows = DemandProfile.objects.filter(
        workload_id__in=[one for one in uuids if " " not in one], resource=DemandProfile.Resource.CPU
    )
    found = {}
    for pk, packed in rows.values_list("workload_id", "hours").iterator(500):
        known = Week(packed).hours_of("p95")
        if seen := [value for hour in wanted if (value := known[hour]) is not None]:
            found[str(pk)] = max(seen)
    return found


def _profiles(site: Site, policy: Policy) -> Iterable[tuple[str, float, Week]]:
    """Workload uuid, its promised cores and its week."""
    rows = DemandProfile.objects.filter(
        workload__host__rack__site=site, resource=DemandProfile.Resource.CPU
    ).values_list("workload_id", "workload__cpu_cores", "hours")
    return ((str(pk), cores, Week(packed)) for pk, cores, packed in rows.iterator(500))


def _hours(week: Week, unknown: float, percentile: str) -> tuple[float, ...]:
    """The 168 hours; one that was never seen counts as the allocation does, or as the highest seen if that is more."""
    if week.hours_known < HOURS_KNOWN_LEAST:
        return ()
    hours = week.hours_of(percentile)
    highest = max(value for value in hours if value is not None)
    stand_in = max(unknown, highest)
    return tuple(float(f"{stand_in if value is None else value:.{_DIGITS}g}") for value in hours)


def _profile(hours: tuple[float, ...], percentile: str) -> planner.Profile:
    if percentile == "median":
        return planner.Profile(cpu_cores_p50=hours)
    if percentile == "p95":
        return planner.Profile(cpu_cores=hours)
    return planner.Profile(cpu_cores_p99=hours) if percentile == "p99" else planner.Profile(cpu_cores_peak=hours)


def demand_said(policy: Policy, data_center: planner.DataCenter) -> str:
    """A sentence: which demand counted, for how many workloads."""
    rows = data_center.workloads
    if policy.demand_by == Policy.DemandBy.ALLOCATION:
        return "Every workload counts as what it was promised, as the policy says."
    known = sum(row.observed_p95 is not None for row in rows)
    by_hour = sum(row.profile is not None for row in rows)
    is_by_hour = policy.demand_by == Policy.DemandBy.PROFILES
    if is_by_hour and by_hour:
        rest = "" if by_hour == len(rows) else " The others have too little history and count as promised."
        which = f"by the {policy.percentile} of each hour, for {_of(by_hour, rows)}"
        return f"CPU counts hour by hour of the week, {which}; memory and disk count as promised.{rest}"
    without = "No workload has a profile yet. " if is_by_hour else ""
    if not known:
        return f"{without}Nothing is known of what workloads used, so each counts as what it was promised."
    past = f"the p95 of the last {policy.history_hours} hours"
    return f"{without}For {_of(known, rows)} {past} counts where it passes the promise; the others count as promised."


def _of(count: int, rows: tuple[planner.Workload, ...]) -> str:
    if count == len(rows):
        return f"all {count} workloads" if count > 1 else "the one workload"
    return f"{count} of {len(rows)} workloads"
