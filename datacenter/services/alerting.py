"""One round of looking at all rules: what is wrong, since when, and who is to be told.

How long something is wrong is kept in our own rows by the database's time, not in PromQL: so a pending alert can be
seen, events and metrics are held to one rule, and a store that was away for a moment begins nothing anew. Every
change is conditional on what it changes, so two rounds at once do no harm. decisions/0018.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from datacenter.alerts import events, forecast, metrics
from datacenter.alerts.quiet import quieting
from datacenter.alerts.reading import Key, Reading, Step, Thing, Verdict, next_step
from datacenter.alerts.wording import sentence
from datacenter.metrics.store import MetricsStore
from datacenter.models import Alert, AlertNotice, AlertRule, Silence
from datacenter.services.notices import notices_write
from hosts.errors import DriverError, Rejected
from hosts.operations.clock import database_now
from hosts.publish import publish_change

log = logging.getLogger(__name__)

ROUND_LIMIT_S = 8.0  # what is not looked at by then is first in the next round
VALUE_EVERY = timedelta(seconds=30)  # how often the value of an open alert is written anew
STORE = Thing("store", "metrics", "the metrics store")
KEPT_FOR = timedelta(days=180)
TOLD_IN = ("fired_at", "rule_name", "thing_name")
OPEN = (Alert.State.PENDING, Alert.State.FIRING)


@dataclass(frozen=True)
class Round:
    """What a round did: rules looked at, alerts that began to fire, alerts that ended; why it was blind, if it was."""

    looked: int
    fired: int
    resolved: int
    blind: str


def alerts_evaluate(
    store: MetricsStore, long_store: MetricsStore, now: datetime | None = None, limit_s: float = ROUND_LIMIT_S
) -> Round:
    """Looks at every rule that is switched on, those that waited longest first. Blocks for about `limit_s` at most."""
    now = now or database_now()
    began = time.monotonic()
    rules = AlertRule.objects.filter(is_enabled=True).select_related("site").order_by("evaluated_at", "name")
    looker = Looker(store, long_store, now)
    looked, fired, resolved = [], 0, 0
    for rule in rules:
        if time.monotonic() - began > limit_s:
            break
        if rule.event == AlertRule.Event.ALERTING_BLIND or not looker.is_due(rule):
            continue
        readings = looker.look(rule)
        if readings is not None:
            begun, ended = _apply(rule, readings, now)
            fired, resolved = fired + begun, resolved + ended
            looked.append(rule.pk)
    blind = looker.blind or events.collector_failure(now)
    for rule in rules:
        if rule.event == AlertRule.Event.ALERTING_BLIND:
            verdict = Verdict.WRONG if blind else Verdict.WELL
            said = f"{blind} Alerts on metrics stay as they are." if blind else "Alerting sees again."
            begun, ended = _apply(rule, [Reading(STORE, verdict, said)], now)
            fired, resolved = fired + begun, resolved + ended
            looked.append(rule.pk)
    AlertRule.objects.filter(pk__in=looked).update(evaluated_at=now)
    alerts_tell(now)
    return Round(len(looked), fired, resolved, blind)


class Looker:
    """Asks the database and the stores for readings; a store that does not answer is not asked again in its round."""

    def __init__(self, store: MetricsStore, long_store: MetricsStore, now: datetime) -> None:
        self._store, self._long_store, self._now = store, long_store, now
        self._away: set[MetricsStore] = set()
        self.blind = ""

    def is_due(self, rule: AlertRule) -> bool:
        """Whether it is time to look: a forecast changes slowly and costs more."""
        if rule.event != AlertRule.Event.FULL_SOON or rule.evaluated_at is None:
            return True
        return self._now - rule.evaluated_at >= timedelta(seconds=forecast.LOOK_EVERY_S)

    def look(self, rule: AlertRule) -> list[Reading] | None:
        """The rule's readings; None where it cannot be told: everything then stays as it is."""
        open_ids = list(rule.alerts.filter(state__in=OPEN).values_list("thing_id", flat=True))
        if rule.kind == AlertRule.Kind.EVENT and rule.event in events.LOOKS:
            return events.LOOKS[rule.event](rule, open_ids, self._now)
        is_forecast = rule.event == AlertRule.Event.FULL_SOON
        store = self._long_store if is_forecast else self._store
        if store in self._away:
            return None
        try:
            if is_forecast:
                return self._said(rule, forecast.look(rule, store, open_ids, self._now))
            return self._said(rule, metrics.look(rule, store, open_ids))
        except Rejected as error:
            self._failed(rule, error)  # this query alone is wrong; others may be answered
        except DriverError as error:
            self._away.add(store)
            self.blind = error.message
            log.warning("Alerting is blind: %s %s", error.message, error.detail)
        return None

    def _said(self, rule: AlertRule, readings: list[Reading]) -> list[Reading]:
        if rule.failure:
            AlertRule.objects.filter(pk=rule.pk).update(failure="")
        return readings

    def _failed(self, rule: AlertRule, error: Rejected) -> None:
        if rule.failure != error.message[:300]:
            log.warning("Rule %s cannot be looked at: %s %s", rule.name, error.message, error.detail)
            AlertRule.objects.filter(pk=rule.pk).update(failure=error.message[:300])


def _apply(rule: AlertRule, readings: Iterable[Reading], now: datetime) -> tuple[int, int]:
    """Brings the rule's alerts to what was read, in one transaction; how many began to fire and how many ended."""
    with transaction.atomic():
        alerts = {(row.thing_kind, row.thing_id): row for row in rule.alerts.filter(state__in=OPEN)}
        unread = dict(alerts)
        fired = resolved = 0
        for reading in readings:
            unread.pop(reading.thing.key, None)
            step = next_step(alerts.get(reading.thing.key), reading.verdict, rule.for_s, now)
            if step is Step.BEGIN:
                fired += _begin(rule, reading, now)
            elif step is not Step.NOTHING:
                alert = alerts[reading.thing.key]
                fired += _go_on(alert, step, reading, now)
                resolved += step is Step.RESOLVE and alert_end(alert, reading.sentence, now)
        resolved += _end_removed(unread, now)
    return fired, resolved


def _begin(rule: AlertRule, reading: Reading, now: datetime) -> int:
    """A new alert, pending or firing at once; nothing when another round was faster."""
    is_firing = rule.for_s == 0
    alert = Alert(
        rule=rule,
        rule_name=rule.name,
        severity=rule.severity,
        thing_kind=reading.thing.kind,
        thing_id=reading.thing.id,
        thing_name=reading.thing.name[:200],
        site_id=reading.thing.site_id,
        host_id=reading.thing.host_id,
        state=Alert.State.FIRING if is_firing else Alert.State.PENDING,
        value=reading.value,
        sentence=sentence(reading.sentence),
        since=now,
        fired_at=now if is_firing else None,
        last_seen_at=now,
    )
    Alert.objects.bulk_create([alert], ignore_conflicts=True)
    is_ours = Alert.objects.filter(pk=alert.pk).exists()
    if is_ours:
        publish_change("alert", alert.pk, alert.state)
    return int(is_ours and is_firing)


def _go_on(alert: Alert, step: Step, reading: Reading, now: datetime) -> int:
    """Writes what was seen of an open alert; 1 when it begins to fire by that."""
    rows = Alert.objects.filter(pk=alert.pk, state=alert.state)
    if step is Step.FORGET:
        rows.delete()
        publish_change("alert", alert.pk, "forgotten")
        return 0
    if step is Step.CLEARING:
        rows.filter(clear_since=None).update(clear_since=now, last_seen_at=now)
        return 0
    seen = {
        "last_seen_at": now,
        "value": reading.value,
        "sentence": sentence(reading.sentence),
        "host_id": reading.thing.host_id,
        "site_id": reading.thing.site_id,
        "clear_since": None,
    }
    if step is Step.FIRE:
        begun = rows.update(state=Alert.State.FIRING, fired_at=now, **seen)
        publish_change("alert", alert.pk, "firing")
        return begun
    is_moved = alert.host_id != reading.thing.host_id or alert.clear_since is not None
    if step is Step.SEEN and (is_moved or now - alert.last_seen_at >= VALUE_EVERY):
        is_news = rows.update(**seen) and alert.sentence != seen["sentence"]
        if is_news:
            publish_change("alert", alert.pk, "seen")
    return 0


def alert_end(alert: Alert, why: str, now: datetime) -> int:
    """Ends an open alert and writes the notices of it, once; 0 when another was faster. In the caller's transaction.

    One that was pending never was an alert: it is forgotten.
    """
    rows = Alert.objects.filter(pk=alert.pk, state=alert.state)
    publish_change("alert", alert.pk, "resolved")
    if alert.state == Alert.State.PENDING:
        rows.delete()
        return 0
    if not rows.update(state=Alert.State.RESOLVED, resolved_at=now, sentence=sentence(why)):
        return 0
    alert.refresh_from_db()
    if alert.told_at is not None:
        notices_write(alert, AlertNotice.Event.RESOLVED, now)
    return 1


def _end_removed(unread: dict[Key, Alert], now: datetime) -> int:
    """Ends the alerts of things that are no longer in the inventory. Of the others nobody knows: they stay."""
    there = events.still_there(unread) if unread else set()
    gone = [alert for key, alert in unread.items() if key not in there]
    return sum(alert_end(alert, f"{alert.thing_name} is no longer in the inventory.", now) for alert in gone)


def alerts_tell(now: datetime) -> int:
    """Writes the notices of alerts that fire and that nobody keeps quiet, and the reminders that are due; how many.

    An alert whose silence has ended while it still fires is told here: told is what was never told, by level.
    """
    why_quiet = quieting(now)
    told = 0
    for alert in Alert.objects.filter(state=Alert.State.FIRING).select_related("rule").order_by(*TOLD_IN):
        why = why_quiet(alert)
        if why != alert.silenced_by:
            Alert.objects.filter(pk=alert.pk, state=Alert.State.FIRING).update(silenced_by=why)
            publish_change("alert", alert.pk, "silenced" if why else "heard")
        if not why:
            told += _tell(alert, now)
    return told


def _tell(alert: Alert, now: datetime) -> int:
    """Writes the notices of a beginning, or of a reminder, where one is due; nothing when another round was faster."""
    is_new = alert.told_at is None
    if not is_new and not _is_reminder_due(alert, now):
        return 0
    with transaction.atomic():
        rows = Alert.objects.filter(pk=alert.pk, state=Alert.State.FIRING)
        if is_new:
            is_ours = rows.filter(told_at=None).update(told_at=now)
        else:
            is_ours = rows.filter(reminded_at=alert.reminded_at, acknowledged_at=None).update(reminded_at=now)
        event = AlertNotice.Event.FIRED if is_new else AlertNotice.Event.REMINDER
        return notices_write(alert, event, now) if is_ours else 0


def _is_reminder_due(alert: Alert, now: datetime) -> bool:
    last = alert.reminded_at or alert.told_at
    hours = alert.rule.remind_hours if alert.rule else 0
    return bool(hours and last and alert.acknowledged_at is None and now - last >= timedelta(hours=hours))


def alerts_forget(now: datetime) -> int:
    """Removes alerts that were over half a year ago, with their notices, and silences as old; how many alerts."""
    before = now - KEPT_FOR
    Silence.objects.filter(until__lt=before).delete()
    old = Alert.objects.filter(state=Alert.State.RESOLVED, resolved_at__lt=before)
    count = old.count()
    old.delete()
    return count
