"""What pages and the API read of alerts. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.urls import reverse

from datacenter.alerts.wording import condition_said, ending_said
from datacenter.models import Alert, AlertRule
from hosts.models import Host
from workloads.models import Workload

State = Alert.State
OPEN = (State.PENDING, State.FIRING)
# what a filter asks for -> its label and the rows
STATES: dict[str, tuple[str, Q]] = {
    "open": ("open", Q(state__in=OPEN)),
    "firing": ("firing", Q(state=State.FIRING)),
    "pending": ("pending", Q(state=State.PENDING)),
    "acknowledged": ("acknowledged", Q(state__in=OPEN) & ~Q(acknowledged_at=None)),
    "silenced": ("silenced", Q(state=State.FIRING) & ~Q(silenced_by="")),
    "resolved": ("resolved", Q(state=State.RESOLVED)),
}
_OPEN_FIRST = Case(
    When(state=State.FIRING, then=Value(0)),
    When(state=State.PENDING, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class AlertFilter:
    """What a list shows; every field empty shows all."""

    state: str = ""
    severity: str = ""
    site: str = ""
    text: str = ""

    @property
    def is_any(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.state or self.severity or self.site or self.text)


def alerts_listed(wanted: AlertFilter) -> QuerySet[Alert]:
    """The rows of a list, firing ones first, the newest first among those of one state."""
    rows = Alert.objects.select_related("site", "host", "rule")
    if wanted.state in STATES:
        rows = rows.filter(STATES[wanted.state][1])
    if wanted.severity in AlertRule.Severity.values:
        rows = rows.filter(severity=wanted.severity)
    if wanted.site:
        rows = rows.filter(site__name=wanted.site)
    if wanted.text:
        rows = rows.filter(Q(thing_name__icontains=wanted.text) | Q(rule_name__icontains=wanted.text))
    return rows.order_by(_OPEN_FIRST, "-since", "pk")


def alerts_firing() -> QuerySet[Alert]:
    """What somebody should know of: firing, and kept quiet by nobody."""
    return Alert.objects.filter(state=State.FIRING, silenced_by="")


def firing_counts() -> dict[str, int]:
    """How many fire, by severity, the worst first; one query."""
    rows = alerts_firing().order_by().values_list("severity").annotate(count=Count("pk"))
    counted = dict(rows)
    return {word: counted[word] for word in AlertRule.Severity.values if word in counted}


def alerts_about(thing: Host | Workload) -> QuerySet[Alert]:
    """The open alerts of a workload; of a host those of everything on it too."""
    rows = Alert.objects.filter(state=State.FIRING).order_by("-since")
    if isinstance(thing, Host):
        return rows.filter(Q(host=thing) | Q(thing_id=str(thing.pk)))
    return rows.filter(thing_id=str(thing.pk))


def thing_url(alert: Alert) -> str:
    """The page of what the alert is about; empty where it has none, or has gone."""
    id_ = alert.thing_id.partition("|")[0]
    if alert.thing_kind in ("vm", "container"):
        return reverse("workload", args=[id_])
    if alert.thing_kind in ("host", "operation", "plan"):
        return reverse(alert.thing_kind, args=[id_])
    return reverse("host", args=[alert.host_id]) if alert.thing_kind == "pool" and alert.host_id else ""


@dataclass(frozen=True)
class RuleRow:
    """A rule in the list of rules."""

    rule: AlertRule
    condition: str
    ending: str
    scope: str
    channels: list[str]
    firing_count: int


def rule_rows() -> list[RuleRow]:
    """Every rule with what it waits for, whom it tells and how many alerts fire; two queries."""
    rows = AlertRule.objects.select_related("site", "host", "workload").prefetch_related("channels")
    counted = rows.annotate(firing=Count("alerts", filter=Q(alerts__state=State.FIRING), distinct=True))
    return [
        RuleRow(
            rule,
            condition_said(rule),
            ending_said(rule),
            scope_said(rule),
            [channel.name for channel in rule.channels.all()],
            rule.firing,
        )
        for rule in counted.order_by("name")
    ]


def scope_said(rule: AlertRule) -> str:
    """What the rule is about: "everything", "site lab"."""
    named: Iterable[tuple[str, Any]] = (("site", rule.site), ("host", rule.host), ("workload", rule.workload))
    return next((f"{word} {thing.name}" for word, thing in named if thing is not None), "everything")
