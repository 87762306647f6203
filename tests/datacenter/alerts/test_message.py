"""What is said, and that nothing said by a host or a guest does more than be read."""

from __future__ import annotations

from datetime import UTC, datetime

from datacenter.alerts.message import BODY_MOST, TITLE_MOST, message_of
from datacenter.models import Alert, AlertNotice

NOW = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)


def a_notice(name: str = "alpha", sentence: str = "alpha does not answer.", event: str = "fired") -> AlertNotice:
    times = {"since": NOW, "fired_at": NOW, "last_seen_at": NOW}
    if event == "resolved":
        times["resolved_at"] = NOW
    alert = Alert(rule_name="Host lost", severity="critical", thing_kind="host", thing_name=name, sentence=sentence)
    for field, value in times.items():
        setattr(alert, field, value)
    return AlertNotice(alert=alert, event=event)


def test_one_alert_is_named_in_the_title():
    message = message_of([a_notice()])

    assert message.title == "[critical] Host lost: alpha"
    assert message.body == "alpha does not answer. (since 2026-11-26 06:00:00 UTC)"
    assert (message.kind, message.priority) == ("failure", "max")


def test_an_end_is_told_as_one():
    message = message_of([a_notice(event="resolved", sentence="alpha answers again.")])

    assert message.title == "[critical] over: Host lost: alpha"
    assert "until 2026-11-26 06:00:00 UTC" in message.body
    assert (message.kind, message.priority) == ("success", "default")


def test_hostile_text_is_cut_and_rid_of_control_characters():
    message = message_of(
        [a_notice(name="a\r\nBcc: x@example.org\x1b[31m" + "n" * 300, sentence="\x00\x1b]52;c;eA==\x07" * 99)]
    )

    assert not any(ord(character) < 32 for character in message.title)
    assert not any(ord(character) < 32 and character != "\n" for character in message.body)
    assert len(message.title) <= TITLE_MOST


def test_a_rack_that_is_lost_is_a_message_that_can_be_read(settings):
    settings.DASHBOARD_URL = "https://stowage.example.org"

    message = message_of([a_notice(name=f"node-{number}", sentence="x" * 390) for number in range(200)])

    assert message.title == "[critical] Host lost: node-0, node-1, node-2 and 197 more"
    assert len(message.body) <= BODY_MOST + 100
    assert message.body.endswith("And 193 more.\nhttps://stowage.example.org/alerts/")
    assert len(message.data["alerts"]) == 200
