"""When a pool, a disk or a host's memory will be full: a straight line through days of five-minute means.

Against noise: the line goes through means of five minutes, over three days, so that a daily rise and fall cancels out;
the line of the last six hours must agree, so that one large copy which has ended raises nothing; the three days must
have added at least 2 % of the capacity, so that a full but quiet disk raises nothing; and there must be a day of
history. An alert that is open ends by the long line alone, so that it does not come and go with the hour.
Source: Prometheus docs, "Query functions", deriv (least squares).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datacenter.alerts.events import host_thing, hosts_in_scope, pools_seen
from datacenter.alerts.reading import Reading, Thing, Verdict, verdict_of
from datacenter.alerts.wording import EVENT_UNITS, amount_said
from datacenter.metrics.store import MetricsStore, Sample
from datacenter.models import AlertRule
from hosts.inventory import is_silent
from hosts.models import Host

LOOK_EVERY_S = 300
LONG, SHORT = "3d", "6h"
LONG_S = 3 * 86400
RISE_LEAST = 0.02  # of the capacity, over the long window
NEVER_DAYS = 36500.0
POOL_USED, POOL_CAPACITY = "stowage_pool_used_bytes", "stowage_pool_capacity_bytes"
GIB = 2**30


@dataclass(frozen=True)
class Filling:
    """Something that fills up: its two series, the label that says whose they are, and its name in a sentence."""

    used: str
    capacity: str
    id_label: str
    what: str


POOLS = Filling(POOL_USED, POOL_CAPACITY, "pool_id", "Pool")
DISKS = Filling("stowage_host_disk_used_bytes", "stowage_host_disk_capacity_bytes", "host_uuid", "The disk of")
MEMORY = Filling("stowage_host_memory_used_bytes", "stowage_host_memory_capacity_bytes", "host_uuid", "The memory of")


def queries(filling: Filling, days: float, ids: list[str]) -> tuple[str, str]:
    """PromQL for the days until full: of all that will be so within `days`, and of those ids whatever comes."""
    every = f'{{aggregate="avg",{filling.id_label}!=""}}'
    within = (
        f"({_days_left(filling, every, LONG)} < {days!r})"
        f" and ({_days_left(filling, every, SHORT)} < {2 * days!r})"
        f" and (deriv({filling.used}{every}[{LONG}]) * {LONG_S}"
        f" > {RISE_LEAST} * last_over_time({filling.capacity}{every}[20m]))"
        f" and last_over_time({filling.used}{every}[2h] offset 22h)"
    )
    named = f'{{aggregate="avg",{filling.id_label}=~"{"|".join(ids)}"}}'
    known = f"{_days_left(filling, named, LONG)} or (last_over_time({filling.used}{named}[20m]) * 0 + {NEVER_DAYS})"
    return within, known


def _days_left(filling: Filling, selector: str, window: str) -> str:
    free = f"last_over_time({filling.capacity}{selector}[20m]) - last_over_time({filling.used}{selector}[20m])"
    return f"(({free}) / (deriv({filling.used}{selector}[{window}]) > 0) / 86400)"


def look(
    rule: AlertRule, store: MetricsStore, open_ids: list[str], now: datetime, at: float | None = None
) -> list[Reading]:
    """Readings of what will be full, and of what has an open alert. Raises DriverError."""
    days = rule.threshold or EVENT_UNITS[AlertRule.Event.FULL_SOON][1]
    hosts = {host.pk: host for host in hosts_in_scope(rule)}
    pools = {thing.id: thing for thing, _ in pools_seen(hosts_in_scope(rule), now)}
    answering = {str(pk): host_thing(host) for pk, host in hosts.items() if not is_silent(host, now)}
    readings: list[Reading] = []
    for filling, things in ((POOLS, pools), (DISKS, answering), (MEMORY, answering)):
        wanted = {_key(filling, thing): thing for thing in things.values()}
        open_here = [key.partition("|")[0] for key in wanted if key in open_ids]
        found, known = _ask(store, filling, days, open_here, at)
        for id_ in found.keys() | known.keys():
            if (thing := things.get(id_)) is not None:
                readings.append(_reading(rule, filling, thing, days, found.get(id_), known.get(id_)))
    return readings


def _ask(
    store: MetricsStore, filling: Filling, days: float, ids: list[str], at: float | None
) -> tuple[dict[str, float], dict[str, float]]:
    within, known = queries(filling, days, ids)
    answers = [store.query(within, at=at), store.query(known, at=at) if ids else []]
    first, second = ({row.labels.get(filling.id_label, ""): row.points[-1][1] for row in rows} for rows in answers)
    return first, second


def _key(filling: Filling, thing: Thing) -> str:
    """The id of the alert's thing: a host may fill up in two ways."""
    return thing.id if filling is POOLS else f"{thing.id}|{'disk' if filling is DISKS else 'memory'}"


def _reading(
    rule: AlertRule, filling: Filling, thing: Thing, days: float, found: float | None, known: float | None
) -> Reading:
    about = Thing(thing.kind, _key(filling, thing), thing.name, thing.site_id, thing.host_id)
    if found is not None:
        days_said = amount_said(found, "days")
        said = f"{filling.what} {thing.name} will be full in {days_said} if it goes on as in the last 3 days."
        return Reading(about, Verdict.WRONG, said, found)
    left = known if known is not None else NEVER_DAYS
    verdict = verdict_of(left, "below", days, max(rule.margin_percent, 25))
    said = f"{filling.what} {thing.name} fills no longer so fast."
    return Reading(about, Verdict.NEAR if verdict is Verdict.WRONG else verdict, said, left)


def pool_samples(at: float, now: datetime) -> list[Sample]:
    """How full each pool is, as the five-minute means of the long store are labelled."""
    samples = []
    hosts = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED)
    for thing, mount in pools_seen(hosts, now):
        labels = {"pool_id": thing.id, "pool": mount.pool.name, "site": mount.host.rack.site.name, "aggregate": "avg"}
        used = max(0.0, mount.capacity_gib - mount.free_gib) * GIB
        samples += [Sample(POOL_USED, labels, used, at), Sample(POOL_CAPACITY, labels, mount.capacity_gib * GIB, at)]
    return samples
