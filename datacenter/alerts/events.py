"""What is wrong by the state in the database: levels, never edges, so that a lost message loses no alert.

Each event answers with readings of what is wrong, and of the open ones that can be judged. A thing without a reading
is one that nobody knows about just now: its alert stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from datacenter.alerts.reading import Reading, Thing, Verdict, verdict_of
from datacenter.alerts.wording import EVENT_UNITS, amount_said
from datacenter.models import AlertRule, Autopilot, MaintenanceRun, Plan
from hosts.inventory import is_silent
from hosts.models import Host, Lease, Operation, PoolMount, Site
from hosts.operations.registry import title_of
from workloads.models import Workload

Scope = AlertRule.Scope
Event = AlertRule.Event
POWER_OPERATIONS = ("host_power_on", "host_power_off", "host_wake_drill")
_JUDGED = (
    Workload.State.RUNNING,
    Workload.State.PAUSED,
    Workload.State.MIGRATING,
    Workload.State.STARTING,
    Workload.State.STOPPED,
    Workload.State.CRASHED,
)


def hosts_in_scope(rule: AlertRule) -> QuerySet[Host]:
    """The enrolled hosts that the rule is about; those of a workload are none."""
    hosts = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED).select_related("rack")
    if rule.scope == Scope.SITE:
        return hosts.filter(rack__site=rule.site_id)
    if rule.scope == Scope.HOST:
        return hosts.filter(pk=rule.host_id)
    return hosts.none() if rule.scope == Scope.WORKLOAD else hosts


def workloads_in_scope(rule: AlertRule) -> QuerySet[Workload]:
    """The workloads that the rule is about: of a site or host, those that are there now."""
    rows = Workload.objects.select_related("host__rack").defer("labels")
    if rule.scope == Scope.SITE:
        return rows.filter(host__rack__site=rule.site_id)
    if rule.scope == Scope.HOST:
        return rows.filter(host=rule.host_id)
    return rows.filter(pk=rule.workload_id) if rule.scope == Scope.WORKLOAD else rows


def host_thing(host: Host) -> Thing:
    return Thing("host", str(host.pk), host.name, host.rack.site_id, host.pk)


def workload_thing(workload: Workload) -> Thing:
    site_id = workload.host.rack.site_id if workload.host else None
    return Thing(workload.kind, str(workload.pk), workload.name, site_id, workload.host_id)


def hosts_being_switched() -> set[str]:
    """Ids of the hosts whose power an operation is switching just now."""
    held = Lease.objects.filter(thing_kind="host", operation__kind__in=POWER_OPERATIONS)
    return set(held.values_list("thing_id", flat=True))


def hosts_lost(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Hosts that the collector has marked as silent, or that somebody else switched off.

    The mark is asked for, not the time of the last word alone: while no collector runs, every host seems silent.
    """
    being_switched = hosts_being_switched()
    readings = []
    for host in hosts_in_scope(rule).exclude(last_seen_at=None):
        if str(host.pk) in being_switched:
            continue
        reading = _host_reading(host, now)
        if reading is not None and (reading.verdict is Verdict.WRONG or str(host.pk) in open_ids):
            readings.append(reading)
    return readings


def _host_reading(host: Host, now: datetime) -> Reading | None:
    thing = host_thing(host)
    if host.desired_power == Host.Power.OFF:
        return Reading(thing, Verdict.VOID, f"{host.name} was switched off from here.")
    if host.power == Host.Power.OFF and host.quarantined_at is not None:
        return Reading(thing, Verdict.WRONG, f"{host.name} did not wake: {host.quarantine_reason}")
    if host.power == Host.Power.OFF:
        return Reading(thing, Verdict.WRONG, f"{host.name} is off, and was not switched off from here.")
    if not is_silent(host, now):
        return Reading(thing, Verdict.WELL, f"{host.name} answers again.")
    if host.power == Host.Power.UNKNOWN:
        seen = host.last_seen_at.strftime("%Y-%m-%d %H:%M:%S") if host.last_seen_at else "never"
        return Reading(thing, Verdict.WRONG, f"{host.name} does not answer; it was last heard at {seen} UTC.")
    return None


def workloads_crashed(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Workloads that ended by themselves; one that shall be stopped has not crashed."""
    rows = workloads_in_scope(rule).filter(Q(state=Workload.State.CRASHED) | Q(pk__in=open_ids))
    readings = []
    for row in rows:
        thing = workload_thing(row)
        if row.state == Workload.State.GONE:
            readings.append(Reading(thing, Verdict.VOID, f"{row.name} is gone from its host."))
        elif row.state == Workload.State.CRASHED and row.desired != Workload.Desired.STOPPED:
            where = f" on {row.host.name}" if row.host else ""
            readings.append(
                Reading(thing, Verdict.WRONG, f"{row.name} crashed{where}: {row.state_reason or 'no reason'}.")
            )
        elif row.state in _JUDGED and str(row.pk) in open_ids:
            readings.append(Reading(thing, Verdict.WELL, f"{row.name} is {row.state}."))
    return readings


def operations_stuck(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Operations that could not be taken back and wait for a person."""
    rows = Operation.objects.filter(Q(state=Operation.State.STUCK) | Q(pk__in=open_ids)).select_related("host__rack")
    if rule.scope == Scope.SITE:
        rows = rows.filter(host__rack__site=rule.site_id)
    elif rule.scope == Scope.HOST:
        rows = rows.filter(Q(host=rule.host_id) | Q(target_host=rule.host_id))
    elif rule.scope == Scope.WORKLOAD:
        rows = rows.filter(subject_id=str(rule.workload_id))
    return [_operation_reading(row) for row in rows]


def _operation_reading(row: Operation) -> Reading:
    title = f"{title_of(row.kind)} {row.subject_name}"
    thing = Thing("operation", str(row.pk), title[:200], row.host.rack.site_id if row.host else None, row.host_id)
    if row.state == Operation.State.STUCK:
        return Reading(thing, Verdict.WRONG, f"“{title}” needs attention: {row.message or 'an undo failed'}")
    return Reading(thing, Verdict.WELL, f"“{title}” is {row.get_state_display()}.")


def pools_nearly_full(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Pools by what the host that was heard last says of them; one whose hosts are all silent gives no reading."""
    limit = rule.threshold if rule.threshold is not None else EVENT_UNITS[Event.POOL_NEARLY_FULL][1]
    readings = []
    for thing, mount in pools_seen(hosts_in_scope(rule), now):
        percent = 100 * (1 - mount.free_gib / mount.capacity_gib)
        verdict = verdict_of(percent, "above", limit, rule.margin_percent)
        if verdict is Verdict.WRONG or thing.id in open_ids:
            said = f"Pool {thing.name} is {amount_said(percent, '%')} full: {mount.free_gib:.1f} GiB are free."
            readings.append(Reading(thing, verdict, said, percent))
    return readings


def pools_seen(hosts: QuerySet[Host], now: datetime) -> Iterable[tuple[Thing, PoolMount]]:
    """Each pool that an answering host tells of, with that host's view of it; two queries."""
    by_pool: dict[int, list[PoolMount]] = defaultdict(list)
    for mount in PoolMount.objects.filter(host__in=hosts).select_related("pool", "host__rack__site"):
        by_pool[mount.pool_id].append(mount)
    for mounts in by_pool.values():
        heard = [mount for mount in mounts if not is_silent(mount.host, now) and mount.capacity_gib > 0]
        if heard:
            newest = max(heard, key=lambda mount: mount.host.last_seen_at or now)
            yield _pool_thing(newest, is_shared=len(mounts) > 1), newest


def _pool_thing(mount: PoolMount, *, is_shared: bool) -> Thing:
    name = mount.pool.name if is_shared else f"{mount.pool.name} on {mount.host.name}"
    return Thing("pool", mount.pool.pool_id, name, mount.host.rack.site_id, None if is_shared else mount.host_id)


def collector_failure(now: datetime) -> str:
    """A sentence when nobody takes what the hosts report: hosts that are on were not heard, and not marked either."""
    unmarked = Host.objects.filter(lifecycle=Host.Lifecycle.ENROLLED, power=Host.Power.ON).exclude(last_seen_at=None)
    silent_s = [(now - host.last_seen_at).total_seconds() for host in unmarked if host.last_seen_at]
    if silent_s and min(silent_s) > 60:
        return "What the hosts report has not been taken for more than a minute: the collector is not running."
    return ""


def plans_waiting(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Proposals of the autopilot at sites where it asks for approval."""
    if rule.scope in (Scope.HOST, Scope.WORKLOAD):
        return []
    rows = Plan.objects.filter(Q(state=Plan.State.PROPOSED, document__autopilot__isnull=False) | Q(pk__in=open_ids))
    rows = rows.filter(site=rule.site_id) if rule.scope == Scope.SITE else rows
    return [reading for row in rows.select_related("site__autopilot") if (reading := _plan_reading(row, open_ids))]


def _plan_reading(plan: Plan, open_ids: list[str]) -> Reading | None:
    thing = Thing("plan", str(plan.pk), f"plan of {plan.site.name}", plan.site_id, None)
    autopilot = getattr(plan.site, "autopilot", None)
    mode = autopilot.mode_for(str(plan.document.get("autopilot"))) if autopilot else Autopilot.Mode.OFF
    if plan.state == Plan.State.PROPOSED and mode == Autopilot.Mode.APPROVE:
        said = plan.document.get("autopilot_said") or ""
        return Reading(thing, Verdict.WRONG, f"A plan of {plan.site.name} waits for approval: {said}")
    if str(plan.pk) in open_ids:
        return Reading(thing, Verdict.WELL, f"The plan is {plan.get_state_display()}.")
    return None


def workloads_expiring(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Workloads whose time is over within so many days, until it is over and they are off, or it was moved."""
    days = rule.threshold or EVENT_UNITS[Event.WORKLOAD_EXPIRES][1]
    rows = workloads_in_scope(rule).filter(Q(expires_at__lte=now + timedelta(days=days)) | Q(pk__in=open_ids))
    return [_expiry_reading(row, now, days) for row in rows]


def _expiry_reading(row: Workload, now: datetime, days: float) -> Reading:
    thing, at = workload_thing(row), row.expires_at
    if at is None or at > now + timedelta(days=days):
        return Reading(thing, Verdict.WELL, f"{row.name} has more time.")
    if at > now:
        said = f"The time of {row.name} is over at {at:%Y-%m-%d %H:%M} UTC; then {row.get_expiry_display()}."
        return Reading(thing, Verdict.WRONG, said)
    if row.expiry_note:
        return Reading(thing, Verdict.WRONG, f"The time of {row.name} is over, but: {row.expiry_note}")
    if row.state in (Workload.State.STOPPED, Workload.State.CRASHED, Workload.State.GONE):
        return Reading(thing, Verdict.WELL, f"The time of {row.name} is over, and it is off.")
    return Reading(thing, Verdict.WRONG, f"The time of {row.name} is over; it is being stopped.")


def hosts_due(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Hosts with another job whose day to come back is so many days off or past, until they are back."""
    last = (now + timedelta(days=rule.threshold or EVENT_UNITS[Event.HOST_DUE][1])).date()
    rows = hosts_in_scope(rule).filter(Q(job__until__lte=last) | Q(pk__in=open_ids)).select_related("job")
    return [_due_reading(row, now, last) for row in rows]


def _due_reading(host: Host, now: datetime, last: date) -> Reading:
    job = getattr(host, "job", None)
    if job is None:
        return Reading(host_thing(host), Verdict.WELL, f"{host.name} is back.")
    if job.until is None or job.until > last:
        return Reading(host_thing(host), Verdict.WELL, f"{host.name} has its other job for longer.")
    verb = "was" if job.until < now.date() else "is"
    said = f"{host.name} {verb} due back on {job.until:%Y-%m-%d} from its other job ({job.get_kind_display()})."
    return Reading(host_thing(host), Verdict.WRONG, said)


def maintenance_paused(rule: AlertRule, open_ids: list[str], now: datetime) -> list[Reading]:
    """Maintenance runs that were paused by themselves and wait for a person."""
    if rule.scope in (Scope.HOST, Scope.WORKLOAD):
        return []
    paused = Q(state=MaintenanceRun.State.PAUSED, is_paused_by_itself=True)
    rows = MaintenanceRun.objects.filter(paused | Q(pk__in=open_ids))
    rows = rows.filter(site=rule.site_id) if rule.scope == Scope.SITE else rows
    return [_maintenance_reading(row) for row in rows]


def _maintenance_reading(run: MaintenanceRun) -> Reading:
    thing = Thing("maintenance", str(run.pk), f"maintenance of {run.about}"[:200], run.site_id, None)
    if run.state == MaintenanceRun.State.PAUSED and run.is_paused_by_itself:
        return Reading(thing, Verdict.WRONG, f"The maintenance of {run.about} was paused: {run.sentence}")
    return Reading(thing, Verdict.WELL, f"The maintenance of {run.about} is {run.get_state_display()}.")


LOOKS: dict[str, Callable[[AlertRule, list[str], datetime], list[Reading]]] = {
    Event.HOST_LOST: hosts_lost,
    Event.WORKLOAD_CRASHED: workloads_crashed,
    Event.OPERATION_STUCK: operations_stuck,
    Event.POOL_NEARLY_FULL: pools_nearly_full,
    Event.PLAN_WAITS: plans_waiting,
    Event.WORKLOAD_EXPIRES: workloads_expiring,
    Event.HOST_DUE: hosts_due,
    Event.MAINTENANCE_PAUSED: maintenance_paused,
}


def still_there(keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Which of the things are in the database still; a query for each kind of thing."""
    ids: dict[str, list[str]] = defaultdict(list)
    for kind, id_ in keys:
        ids[kind].append(id_)
    found = {(kind, id_) for kind in ("store", "collector", "datacenter") for id_ in ids.pop(kind, [])}
    sites = ids.pop("site", [])
    found |= {("site", name) for name in Site.objects.filter(name__in=sites).values_list("name", flat=True)}
    pools = ids.pop("pool", [])
    found |= {
        ("pool", row)
        for row in PoolMount.objects.filter(pool__pool_id__in=pools).values_list("pool__pool_id", flat=True)
    }
    models: dict[str, Any] = {"host": Host, "operation": Operation, "plan": Plan}
    for kind, wanted in ids.items():
        rows = models.get(kind, Workload).objects.filter(pk__in={id_.partition("|")[0] for id_ in wanted})
        known = {str(pk) for pk in rows.values_list("pk", flat=True)}
        found |= {(kind, id_) for id_ in wanted if id_.partition("|")[0] in known}
    return found
