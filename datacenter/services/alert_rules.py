"""Rules: made, edited, switched on and off, removed. For administrators; each change is in the audit log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from django.db import transaction

from datacenter.alerts.measures import measures
from datacenter.alerts.wording import EVENT_UNITS, condition_said
from datacenter.models import Alert, AlertRule, NotificationChannel
from datacenter.models.alert import LONGEST_S
from datacenter.services.alerting import OPEN, alert_end
from hosts.audit import audit_write
from hosts.errors import Invalid
from hosts.inventory import plain_text
from hosts.models import Host, Site
from hosts.operations.clock import database_now
from hosts.publish import publish_change
from hosts.services.doors import User, refuse_unless
from workloads.models import Workload

Kind, Event, Scope = AlertRule.Kind, AlertRule.Event, AlertRule.Scope
REMIND_HOURS_MOST = 24 * 30
# What a rule watches: when this changes, its open alerts are those of another question.
_QUESTION = ("kind", "metric", "event", "scope", "site", "host", "workload", "comparison")


@dataclass(frozen=True)
class RuleValues:
    """All that a person decides about a rule. `threshold` is in the unit of the metric, or of the event."""

    name: str
    kind: str
    metric: str = ""
    event: str = ""
    scope: str = "all"
    site: Site | None = None
    host: Host | None = None
    workload: Workload | None = None
    comparison: str = "above"
    threshold: float | None = None
    for_s: int = 0
    margin_percent: float = 5.0
    remind_hours: int = 24
    severity: str = "warning"
    is_enabled: bool = True


def values_of(rule: AlertRule) -> RuleValues:
    """What the rule says now."""
    return RuleValues(**{name: getattr(rule, name) for name in RuleValues.__dataclass_fields__})


@transaction.atomic
def rule_create(user: User, values: RuleValues, channels: Sequence[NotificationChannel] = ()) -> AlertRule:
    """A new rule; raises Invalid with the field that is wrong."""
    refuse_unless(user, "administer")
    rule = AlertRule.objects.create(**_checked(values, None))
    rule.channels.set(channels)
    audit_write(user, "alert_rule_create", "alert_rule", rule.pk, rule.name, watches=condition_said(rule))
    publish_change("alert_rule", rule.pk, "made")
    return rule


@transaction.atomic
def rule_edit(
    user: User, rule: AlertRule, values: RuleValues, channels: Sequence[NotificationChannel] | None = None
) -> AlertRule:
    """Changes the rule. Open alerts end when it watches something else from now on; `channels` None leaves those."""
    refuse_unless(user, "administer")
    before = values_of(rule)
    fresh = _checked(values, rule)
    changed = sorted(name for name in RuleValues.__dataclass_fields__ if getattr(before, name) != fresh[name])
    if set(changed) & set(_QUESTION) or (before.is_enabled and not fresh["is_enabled"]):
        _end_alerts(rule, f"The rule was changed by {user.get_username()}.")
    AlertRule.objects.filter(pk=rule.pk).update(**fresh, failure="", evaluated_at=None)
    rule.refresh_from_db()
    Alert.objects.filter(rule=rule, state__in=OPEN).update(rule_name=rule.name, severity=rule.severity)
    if channels is not None and set(channels) != set(rule.channels.all()):
        rule.channels.set(channels)
        changed.append("channels")
    audit_write(user, "alert_rule_edit", "alert_rule", rule.pk, rule.name, changed=changed)
    publish_change("alert_rule", rule.pk, "changed")
    return rule


@transaction.atomic
def rule_enable(user: User, rule: AlertRule, *, on: bool) -> None:
    """Switches the rule on or off; its open alerts end when it goes off."""
    refuse_unless(user, "administer")
    if not AlertRule.objects.filter(pk=rule.pk, is_enabled=not on).update(is_enabled=on):
        return
    if not on:
        _end_alerts(rule, f"The rule was switched off by {user.get_username()}.")
    audit_write(user, "alert_rule_on" if on else "alert_rule_off", "alert_rule", rule.pk, rule.name)
    publish_change("alert_rule", rule.pk, "changed")


@transaction.atomic
def rule_delete(user: User, rule: AlertRule) -> None:
    """Removes the rule; its open alerts end, those that ended stay in the history."""
    refuse_unless(user, "administer")
    _end_alerts(rule, f"The rule was removed by {user.get_username()}.")
    audit_write(user, "alert_rule_delete", "alert_rule", rule.pk, rule.name)
    publish_change("alert_rule", rule.pk, "removed")
    rule.delete()


def _end_alerts(rule: AlertRule, why: str) -> None:
    now = database_now()
    for alert in rule.alerts.filter(state__in=OPEN).select_related("rule"):
        alert_end(alert, why, now)


def _checked(values: RuleValues, rule: AlertRule | None) -> dict[str, object]:
    """The values as they are stored: what does not belong to the kind or scope is emptied. Raises Invalid."""
    name = plain_text(values.name.strip(), 80)
    if not name:
        raise Invalid("Give the rule a name.", field="name")
    others = AlertRule.objects.filter(name=name)
    if (others.exclude(pk=rule.pk) if rule else others).exists():
        raise Invalid(f"There is already a rule {name}. Choose another name.", field="name")
    _check_choices(values)
    kept = asdict(_Watched.of(values)) | {
        "name": name,
        "for_s": values.for_s,
        "margin_percent": values.margin_percent,
        "remind_hours": values.remind_hours,
        "severity": values.severity,
        "is_enabled": values.is_enabled,
    }
    return kept | _scope_checked(values)


def _check_choices(values: RuleValues) -> None:
    for field, choices in (
        ("kind", Kind.values),
        ("scope", Scope.values),
        ("severity", AlertRule.Severity.values),
        ("comparison", AlertRule.Comparison.values),
    ):
        if getattr(values, field) not in choices:
            raise Invalid(f"Choose one of {', '.join(choices)}.", field=field)
    if not 0 <= values.for_s <= LONGEST_S:
        raise Invalid("It may have to last from 0 seconds to 7 days.", field="for_s")
    if not (math.isfinite(values.margin_percent) and 0 <= values.margin_percent <= 90):
        raise Invalid("The margin is from 0 to 90 % of the threshold.", field="margin_percent")
    if not 0 <= values.remind_hours <= REMIND_HOURS_MOST:
        raise Invalid("Reminders come every 1 to 720 hours; 0 asks for none.", field="remind_hours")


@dataclass(frozen=True)
class _Watched:
    """What the rule watches, and from where on."""

    kind: str
    metric: str
    event: str
    comparison: str
    threshold: float | None

    @classmethod
    def of(cls, values: RuleValues) -> _Watched:
        threshold = values.threshold
        if threshold is not None and not math.isfinite(threshold):
            raise Invalid("The threshold must be a number.", field="threshold")
        if values.kind == Kind.EVENT:
            if values.event not in Event.values:
                raise Invalid("Choose an event.", field="event")
            if values.event not in EVENT_UNITS:
                return cls(Kind.EVENT, "", values.event, "above", None)
            threshold = EVENT_UNITS[values.event][1] if threshold is None else threshold
            if not 0 < threshold <= (100 if values.event == Event.POOL_NEARLY_FULL else 365):
                raise Invalid("Give 1 to 100 % for a pool, 1 to 365 days for a forecast.", field="threshold")
            return cls(Kind.EVENT, "", values.event, "above", threshold)
        if values.metric not in measures():
            raise Invalid("Choose a metric.", field="metric")
        if threshold is None:
            unit = measures()[values.metric].unit
            raise Invalid(f"Give the threshold{f' in {unit}' if unit else ''}.", field="threshold")
        return cls(Kind.METRIC, values.metric, "", values.comparison, threshold)


def _scope_checked(values: RuleValues) -> dict[str, object]:
    """The scope with the one thing that it names, and no other."""
    named: dict[str, object] = {"site": None, "host": None, "workload": None}
    if values.scope != Scope.ALL:
        named[values.scope] = getattr(values, values.scope)
        if named[values.scope] is None:
            raise Invalid(f"Choose the {values.scope}.", field=values.scope)
    if values.kind == Kind.METRIC:
        thing = measures()[values.metric].thing
        if thing == "host" and values.scope == Scope.WORKLOAD:
            raise Invalid("This metric is of hosts: choose a host, a site or everything.", field="scope")
        if thing == "site" and values.scope not in (Scope.ALL, Scope.SITE):
            raise Invalid("This metric is of sites: choose a site or everything.", field="scope")
        if thing == "collector" and values.scope != Scope.ALL:
            raise Invalid("This metric is of the collector, which is one for everything.", field="scope")
    return {"scope": values.scope, **named}
