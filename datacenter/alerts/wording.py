"""Sentences and units of rules and readings. What comes from hosts and guests is cut to size here."""

from __future__ import annotations

from typing import Protocol

from datacenter.alerts.measures import measures
from datacenter.alerts.reading import well_from
from hosts.inventory import plain_text

SENTENCE_MOST = 400
# event -> unit of its threshold, and what the threshold is where none is given
EVENT_UNITS = {
    "pool_nearly_full": ("%", 85.0),
    "full_soon": ("days", 7.0),
    "workload_expires": ("days", 3.0),
    "host_due": ("days", 3.0),
}


class Watching(Protocol):
    """What is read of a rule."""

    kind: str
    metric: str
    event: str
    comparison: str
    threshold: float | None
    margin_percent: float
    for_s: int


def unit_of(rule: Watching) -> str:
    """The unit of the rule's threshold; empty where it has none."""
    if rule.kind == "event":
        return EVENT_UNITS.get(rule.event, ("", 0.0))[0]
    measure = measures().get(rule.metric)
    return measure.unit if measure else ""


def amount_said(value: float, unit: str) -> str:
    """A value with its unit: "96.3 %", "1.5 GiB", "7 days"."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def duration_said(seconds: int) -> str:
    """ "at once", "90 s", "10 min", "2 h", "3 days"."""
    if seconds == 0:
        return "at once"
    for size, word in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return "1 day" if (count, word) == (1, "days") else f"{count} {word}"
    return f"{seconds} s"


_EVENTS = {
    "host_lost": "A host is lost",
    "workload_crashed": "A VM or container crashed",
    "operation_stuck": "An operation needs attention",
    "alerting_blind": "Alerting is blind",
    "maintenance_paused": "A maintenance was paused by itself",
    "plan_waits": "A plan of the autopilot waits for approval",
}


def condition_said(rule: Watching) -> str:
    """What the rule waits for, without a full stop: "Host: Memory in use: above 3 GiB for 10 min"."""
    lasting = f" for {duration_said(rule.for_s)}" if rule.for_s else ""
    if rule.kind == "event":
        limit = amount_said(rule.threshold or 0.0, unit_of(rule))
        if rule.event == "pool_nearly_full":
            return f"A pool is more than {limit} full{lasting}"
        if rule.event == "full_soon":
            return f"A forecast says{lasting} that a pool, a disk or a host's memory will be full within {limit}"
        if rule.event == "host_due":
            return f"A host with another job is due back within {limit}"
        if rule.event == "workload_expires":
            return f"The time of a VM or container is over within {limit}"
        return f"{_EVENTS.get(rule.event, rule.event)}{lasting}"
    measure = measures().get(rule.metric)
    if measure is None or rule.threshold is None:
        return f"{rule.metric}: no such metric is known any more"
    limit = amount_said(rule.threshold, measure.unit)
    return f"{measure.thing.capitalize()}: {measure.label}: {rule.comparison} {limit}{lasting}"


def ending_said(rule: Watching) -> str:
    """From where on it is over; empty where that is not a matter of a number."""
    if rule.threshold is None or unit_of(rule) == "days" or (rule.kind == "event" and rule.event not in EVENT_UNITS):
        return ""
    value = well_from(rule.comparison if rule.kind == "metric" else "above", rule.threshold, rule.margin_percent)
    word = "below" if rule.kind == "event" or rule.comparison == "above" else "above"
    return f"over once it is {word} {amount_said(value, unit_of(rule))}"


def sentence(text: str) -> str:
    """The text without control characters, cut to what an alert keeps."""
    return plain_text(text, SENTENCE_MOST)
