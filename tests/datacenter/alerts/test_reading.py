"""When an alert begins, fires and ends: the bare rules, without clock and database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from datacenter.alerts.reading import CLEAR_FOR, Step, Verdict, next_step, verdict_of, well_from

NOW = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)


@dataclass
class Standing:
    state: str
    since: datetime = NOW
    clear_since: datetime | None = None


def test_only_what_is_wrong_begins_an_alert():
    steps = {verdict: next_step(None, verdict, 60, NOW) for verdict in Verdict}

    assert steps.pop(Verdict.WRONG) is Step.BEGIN
    assert set(steps.values()) == {Step.NOTHING}


def test_a_pending_alert_fires_once_it_has_lasted():
    pending = Standing("pending")

    assert next_step(pending, Verdict.WRONG, 60, NOW + timedelta(seconds=59)) is Step.SEEN
    assert next_step(pending, Verdict.WRONG, 60, NOW + timedelta(seconds=60)) is Step.FIRE


@pytest.mark.parametrize("verdict", [Verdict.NEAR, Verdict.WELL, Verdict.VOID])
def test_a_pending_alert_is_forgotten_as_soon_as_it_is_not_wrong(verdict: Verdict):
    assert next_step(Standing("pending"), verdict, 60, NOW + timedelta(seconds=90)) is Step.FORGET


def test_a_firing_alert_near_its_threshold_goes_on():
    assert next_step(Standing("firing", clear_since=NOW), Verdict.NEAR, 0, NOW + timedelta(hours=1)) is Step.SEEN


def test_a_firing_alert_is_over_after_being_well_for_a_while():
    firing = Standing("firing")
    assert next_step(firing, Verdict.WELL, 0, NOW) is Step.CLEARING

    firing.clear_since = NOW

    assert next_step(firing, Verdict.WELL, 0, NOW + CLEAR_FOR - timedelta(seconds=1)) is Step.NOTHING
    assert next_step(firing, Verdict.WELL, 0, NOW + CLEAR_FOR) is Step.RESOLVE


def test_an_alert_on_what_is_off_is_over_at_once():
    assert next_step(Standing("firing"), Verdict.VOID, 0, NOW) is Step.RESOLVE


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(95.1, Verdict.WRONG), (95, Verdict.NEAR), (90.3, Verdict.NEAR), (90.25, Verdict.WELL), (0, Verdict.WELL)],
)
def test_a_value_is_well_only_below_the_margin(value: float, verdict: Verdict):
    assert verdict_of(value, "above", 95, 5) is verdict


def test_below_is_the_mirror_of_above():
    assert [verdict_of(value, "below", 10, 10) for value in (9.9, 10, 10.9, 11)] == [
        Verdict.WRONG,
        Verdict.NEAR,
        Verdict.NEAR,
        Verdict.WELL,
    ]
    assert (well_from("above", 95, 0), well_from("below", 10, 10)) == (95, 11)
