"""What is wrong by the metrics store: one query for each rule, whatever the number of things."""

from __future__ import annotations

from typing import Any

from datacenter.alerts.events import host_thing, hosts_in_scope, workload_thing, workloads_in_scope
from datacenter.alerts.measures import Measure, measures
from datacenter.alerts.reading import Reading, Thing, Verdict, verdict_of, well_from
from datacenter.alerts.wording import amount_said
from datacenter.metrics.store import MetricsStore
from datacenter.models import AlertRule
from hosts.errors import Rejected
from hosts.models import Host, Site
from workloads.models import Workload

Scope = AlertRule.Scope
# States in which a workload uses nothing: an alert on its use has nothing to stand on any more.
COLLECTOR = Thing("collector", "collector", "the collector")
WHOLE = Thing("datacenter", "*", "the data center")  # of what is counted for all sites together
AT_REST = (Workload.State.STOPPED, Workload.State.CRASHED, Workload.State.GONE)


def look(rule: AlertRule, store: MetricsStore, open_ids: list[str], at: float | None = None) -> list[Reading]:
    """Readings of what is over the threshold, near it, or has an open alert. Raises DriverError."""
    measure = measures().get(rule.metric)
    if measure is None or rule.threshold is None:
        raise Rejected(f"No metric {rule.metric} is known any more. Edit the rule.")
    limit = well_from(rule.comparison, rule.threshold, rule.margin_percent)
    series = store.query(measure.query(rule.comparison, limit, _labels(rule, measure), open_ids), at=at)
    values: dict[str, float] = {}
    for row in series:
        id_ = row.labels.get(measure.id_label, "") if measure.id_label else COLLECTOR.id
        id_ = id_ or (WHOLE.id if measure.thing == "site" else "")
        values[id_] = row.points[-1][1] * measure.scale
    readings = []
    for thing, is_at_rest in things(rule, measure, {*values, *open_ids}):
        if is_at_rest:
            readings.append(Reading(thing, Verdict.VOID, f"{thing.name} does not run any more."))
        elif thing.id in values:
            readings.append(_reading(rule, measure, thing, values[thing.id]))
    return readings


def _labels(rule: AlertRule, measure: Measure) -> list[tuple[str, str]]:
    """The labels that narrow the query. A workload's series knows no host: that scope is applied to the things."""
    if rule.scope == Scope.SITE and rule.site is not None:
        return [("site", rule.site.name)]
    if rule.scope == Scope.HOST and measure.thing == "host":
        return [("host_uuid", str(rule.host_id))]
    if rule.scope == Scope.WORKLOAD:
        return [("workload_uuid", str(rule.workload_id))]
    return []


def things(rule: AlertRule, measure: Measure, ids: set[str]) -> list[tuple[Thing, bool]]:
    """The things of those ids that the rule is about, and whether each is at rest. Unknown ids are dropped."""
    known = [id_ for id_ in ids if id_]
    if measure.thing == "collector":
        return [(COLLECTOR, False)] if known else []
    if measure.thing == "site":
        sites = Site.objects.filter(name__in=known)
        found = [Thing("site", site.name, site.name, site.pk) for site in sites if rule.site_id in (None, site.pk)]
        return [(thing, False) for thing in [*found, *([WHOLE] if WHOLE.id in known else [])]]
    if measure.thing == "host":
        hosts = _by_ids(hosts_in_scope(rule), known)
        return [(host_thing(host), host.power == Host.Power.OFF) for host in hosts]
    rows = _by_ids(workloads_in_scope(rule), known)
    return [(workload_thing(row), row.state in AT_REST) for row in rows]


def _by_ids(rows: Any, ids: list[str]) -> list[Any]:
    """The rows of those ids, in pieces: SQLite takes a bounded number of values."""
    return [row for start in range(0, len(ids), 500) for row in rows.filter(pk__in=ids[start : start + 500])]


def _reading(rule: AlertRule, measure: Measure, thing: Thing, value: float) -> Reading:
    assert rule.threshold is not None
    verdict = verdict_of(value, rule.comparison, rule.threshold, rule.margin_percent)
    said = f"{thing.name}: {measure.label}: {amount_said(value, measure.unit)}."
    return Reading(thing, verdict, f"{said} The limit is {amount_said(rule.threshold, measure.unit)}.", value)
