"""What is said of a group of notices: a title, lines of text, and the same as data for webhooks.

Names and sentences come from hosts and guests in part. They are cut to size and rid of control characters, and
nothing in them may address people or make a link where the text is shown (attacks.md S25, S26).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from datacenter.models import Alert, AlertNotice
from hosts.inventory import plain_text

TITLE_MOST, LINES_MOST, NAMES_MOST = 200, 20, 3
BODY_MOST = 3000  # of lines; ntfy makes a file of more than 4,096 bytes
Event = AlertNotice.Event
_HEADS = {Event.FIRED: "", Event.REMINDER: "still: ", Event.RESOLVED: "over: "}


@dataclass(frozen=True)
class Message:
    """`kind` is Apprise's: failure, warning, info or success. `priority` is ntfy's: max, high or default."""

    title: str
    body: str
    kind: str
    priority: str
    data: dict[str, Any] = field(default_factory=dict)

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


def message_of(notices: Sequence[AlertNotice]) -> Message:
    """The message of notices that are all of one rule and one event."""
    alerts = [notice.alert for notice in notices]
    event, first = notices[0].event, alerts[0]
    names = ", ".join(alert.thing_name for alert in alerts[:NAMES_MOST])
    more = f" and {len(alerts) - NAMES_MOST} more" if len(alerts) > NAMES_MOST else ""
    title = f"[{first.severity}] {_HEADS[Event(event)]}{first.rule_name}: {names}{more}"
    lines = _lines(alerts)
    if settings.DASHBOARD_URL:
        lines.append(f"{settings.DASHBOARD_URL}/alerts/")
    return Message(
        title=plain_text(title, TITLE_MOST),
        body="\n".join(lines),
        kind=_kind(event, first.severity),
        priority=_priority(event, first.severity),
        data={
            "event": event,
            "rule": first.rule_name,
            "severity": first.severity,
            "alerts": [_data(alert) for alert in alerts],
        },
    )


def trial_message(channel_name: str, who: str) -> Message:
    """What "Send a test" sends."""
    body = f"This is a test of the channel {channel_name}, asked for by {who}. Nothing is wrong."
    return Message("Stowage: test", plain_text(body, 500), "info", "default", {"event": "test", "alerts": []})


def _lines(alerts: Sequence[Alert]) -> list[str]:
    """A line for each alert, for as many as a message holds."""
    lines: list[str] = []
    for number, alert in enumerate(alerts):
        line = _line(alert)
        if number == LINES_MOST or sum(map(len, lines)) + len(line) > BODY_MOST:
            return [*lines, f"And {len(alerts) - number} more."]
        lines.append(line)
    return lines


def _line(alert: Alert) -> str:
    end = f", until {_clock(alert.resolved_at)}" if alert.resolved_at else ""
    since = f" (since {_clock(alert.fired_at or alert.since)}{end})"
    site = f"{alert.site.name}: " if alert.site else ""
    return plain_text(f"{site}{alert.sentence}{since}", 500)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _kind(event: str, severity: str) -> str:
    if event == Event.RESOLVED:
        return "success"
    return {"critical": "failure", "warning": "warning"}.get(severity, "info")


def _priority(event: str, severity: str) -> str:
    return "default" if event == Event.RESOLVED else {"critical": "max", "warning": "high"}.get(severity, "default")


def _data(alert: Alert) -> dict[str, Any]:
    return {
        "uuid": str(alert.pk),
        "state": alert.state,
        "thing_kind": alert.thing_kind,
        "thing_id": alert.thing_id,
        "thing_name": alert.thing_name,
        "site": alert.site.name if alert.site else None,
        "sentence": alert.sentence,
        "value": alert.value,
        "since": alert.since.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
    }
