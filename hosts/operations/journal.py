"""The journal and its fold: where an operation stands follows from its entries alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from hosts.errors import StowageError, error_from_data
from hosts.models import Entry, Operation

Kind = Entry.Kind


@dataclass
class StepFold:
    """What the journal says of one step. `state` is "" before it began, "skipped", or the kind of its last entry."""

    state: str = ""
    round: int = 0  # how often the step was done anew because its answer was not final
    attempt: int = 0  # of the last command sent, over retries and resends; never falls
    resends: int = 0  # of the last command, because nobody answered
    tries: int = 0  # failures since the step began, or since a person asked for another try
    output: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] = field(default_factory=dict)
    queue: str = ""
    secret: dict[str, str] | None = None
    was_heard: bool = False  # an earlier sending of this try was acknowledged
    began_once: bool = False
    never_began: bool = False  # it failed for good, and no plane ever began it: there is nothing to undo
    first_at: datetime | None = None
    started_at: datetime | None = None
    error: StowageError | None = None
    retry_at: datetime | None = None

    @property
    def is_in_flight(self) -> bool:
        return self.state in (Kind.STARTED, Kind.UNDO_STARTED)

    def anew(self, retry_at: datetime | None) -> None:
        """The step is to be done again, as if it had never been; a new round makes it a new step to the plane."""
        self.state, self.output, self.round = "", {}, self.round + 1
        self.patience_renew()
        self.retry_at = retry_at

    def patience_renew(self) -> None:
        self.tries = 0
        self.first_at = self.retry_at = None

    def try_again(self) -> None:
        """A person asked for another try of what has failed for good."""
        self.patience_renew()
        if self.state == Kind.FAILED:
            self.state = ""
        elif self.state == Kind.UNDO_FAILED:
            self.state = "undo wanted"


@dataclass
class Fold:
    """The whole operation as its journal tells it."""

    steps: dict[str, StepFold] = field(default_factory=dict)
    undoing: bool = False
    error: StowageError | None = None  # why it is being undone
    cancelled: bool = False
    count: int = 0
    asked_again_since: dict[str, datetime] = field(default_factory=dict)  # control step: its first Again

    def step(self, name: str) -> StepFold:
        return self.steps.setdefault(name, StepFold())

    def add(self, entry: Entry) -> None:
        """The next line of the journal."""
        self.count += 1
        if entry.kind == Kind.NOTED:
            _fold_note(self, entry)
        else:
            _fold_step(self.step(entry.step), entry)

    def outputs(self) -> dict[str, dict[str, Any]]:
        return {name: step.output for name, step in self.steps.items() if step.output}


def fold(entries: list[Entry]) -> Fold:
    """The state that the entries add up to, in their order."""
    result = Fold()
    for entry in entries:
        result.add(entry)
    return result


def _fold_note(result: Fold, entry: Entry) -> None:
    word = entry.data.get("note")
    if word == "again":
        result.asked_again_since.setdefault(entry.step, entry.created_at)
        for number, name in enumerate(entry.data["steps"]):
            retry_at = datetime.fromisoformat(entry.data["retry_at"]) if number == 0 else None
            result.step(name).anew(retry_at)
    if word == "undoing":
        result.undoing = True
        result.cancelled = bool(entry.data.get("cancelled"))
        result.error = error_from_data(entry.data["error"]) if entry.data.get("error") else None
        for step in result.steps.values():
            step.patience_renew()
    elif word == "retry":
        result.asked_again_since.clear()
        for step in result.steps.values():
            step.try_again()


def _fold_step(step: StepFold, entry: Entry) -> None:
    step.state = entry.kind
    data = entry.data
    if entry.kind in (Kind.STARTED, Kind.UNDO_STARTED):
        step.attempt, step.command, step.queue = entry.attempt, data["command"], data["queue"]
        step.secret = data.get("secret")
        step.resends = step.resends + 1 if data.get("again") else 0
        step.was_heard = bool(data.get("heard"))
        step.began_once = step.began_once or step.was_heard
        step.started_at = entry.created_at
        step.first_at = step.first_at or entry.created_at
        step.retry_at = None
    elif entry.kind == Kind.DONE:
        step.output = data.get("output") or {}
        step.error = None
        if data.get("skipped"):
            step.state = "skipped"
    elif entry.kind in (Kind.FAILED, Kind.UNDO_FAILED):
        step.error = error_from_data(data["error"])
        step.tries += 1
        step.began_once = step.began_once or data.get("began", True)
        step.never_began = entry.kind == Kind.FAILED and not step.began_once
        retry_at = data.get("retry_at")
        step.retry_at = datetime.fromisoformat(retry_at) if retry_at else None


def wire_name(step: str, round_number: int) -> str:
    """The step's name in a command; a later round is another step to the plane, which repeats no old answer."""
    return f"{step}.{round_number}" if round_number else step


def from_wire_name(name: str) -> tuple[str, int]:
    """The step and the round that a report speaks of."""
    step, _, number = name.partition(".")
    return step, int(number) if number.isdigit() else 0


def append(
    operation: Operation,
    number: int,
    kind: Entry.Kind,
    step: str,
    attempt: int = 0,
    *,
    at: datetime | None = None,
    **data: Any,
) -> Entry:
    """Writes the next line. The unique number makes a second writer fail instead of telling another story."""
    return Entry.objects.create(
        operation=operation,
        number=number,
        kind=kind,
        step=step,
        attempt=attempt,
        data=data,
        created_at=at or timezone.now(),
    )
