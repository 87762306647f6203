"""What one look at one thing gave, and what follows from it. Pure: no clock, no database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol
from uuid import UUID

CLEAR_FOR = timedelta(seconds=20)  # well for so long before a firing alert is over: two looks at least

Key = tuple[str, str]  # kind and id of a thing


@dataclass(frozen=True)
class Thing:
    """What an alert is about; `host_id` is where it is, `site_id` where that stands."""

    kind: str
    id: str
    name: str
    site_id: int | None = None
    host_id: UUID | None = None

    @property
    def key(self) -> Key:
        return (self.kind, self.id)


class Verdict(Enum):
    """How a thing stands by a rule."""

    WRONG = "wrong"
    NEAR = "near"  # back over the threshold, but by less than the margin: ends nothing and begins nothing
    WELL = "well"
    VOID = "void"  # the rule has nothing to say of it any more: it is off, or was removed


@dataclass(frozen=True)
class Reading:
    """One thing, how it stands, and the sentence that says so."""

    thing: Thing
    verdict: Verdict
    sentence: str
    value: float | None = None


class Step(Enum):
    """What is to be done with an alert."""

    NOTHING = "nothing"
    SEEN = "seen"  # goes on as it is
    BEGIN = "begin"  # as pending
    FIRE = "fire"
    FORGET = "forget"  # a pending one that came to nothing
    CLEARING = "clearing"  # well, but not for long enough yet
    RESOLVE = "resolve"


class Standing(Protocol):
    """What `next_step` reads of an alert."""

    state: str
    since: datetime
    clear_since: datetime | None


def next_step(alert: Standing | None, verdict: Verdict, for_s: int, now: datetime) -> Step:
    """What follows for the alert (None: there is no open one) from a verdict at `now`.

    Who gives no reading is not asked about here: missing data ends nothing and begins nothing.
    """
    if alert is None:
        return Step.BEGIN if verdict is Verdict.WRONG else Step.NOTHING
    if alert.state == "pending":
        if verdict is not Verdict.WRONG:
            return Step.FORGET
        return Step.FIRE if now - alert.since >= timedelta(seconds=for_s) else Step.SEEN
    if verdict in (Verdict.WRONG, Verdict.NEAR):
        return Step.SEEN
    if verdict is Verdict.VOID:
        return Step.RESOLVE
    if alert.clear_since is None:
        return Step.CLEARING
    return Step.RESOLVE if now - alert.clear_since >= CLEAR_FOR else Step.NOTHING


def verdict_of(value: float, comparison: str, threshold: float, margin_percent: float) -> Verdict:
    """How a value stands to a threshold with its margin (in percent of the threshold)."""
    margin = abs(threshold) * margin_percent / 100
    over, limit = (value - threshold, margin) if comparison == "above" else (threshold - value, margin)
    if over > 0:
        return Verdict.WRONG
    return Verdict.NEAR if over > -limit else Verdict.WELL


def well_from(comparison: str, threshold: float, margin_percent: float) -> float:
    """The value from which on an alert is over."""
    margin = abs(threshold) * margin_percent / 100
    return threshold - margin if comparison == "above" else threshold + margin
