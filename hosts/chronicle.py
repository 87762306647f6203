"""What was done, as people read it: operations, their journals and the audit log. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from hosts.models import AuditRecord, Entry, Host, Operation
from hosts.operations.registry import sagas
from hosts.queries import OPEN_STATES
from hosts.words import kinds_said, note_said, step_said, verbs_said


def operations_listed(state: str = "", text: str = "") -> QuerySet[Operation]:
    """Operations, newest first; `state` is one of theirs or "open"."""
    rows = Operation.objects.defer("parameters", "progress_data")
    if state == "open":
        rows = rows.filter(state__in=OPEN_STATES)
    elif state in Operation.State.values:
        rows = rows.filter(state=state)
    if text:
        rows = rows.filter(
            Q(subject_name__icontains=text) | Q(kind__in=kinds_said(text)) | Q(requested_by_name__icontains=text)
        )
    return rows


@dataclass
class StepLine:
    """A step of an operation as its journal tells it: how it stands, how long it took, how often it was tried.

    `state` is an Entry's kind. A line without a step is a remark.
    """

    step: str
    state: str
    remark: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempts: int = 0
    error: str = ""

    @property
    def word(self) -> str:
        """How it stands, as people say it."""
        return self.remark or _WORDS.get(self.state, self.state)

    @property
    def is_open(self) -> bool:
        return self.started_at is not None and self.ended_at is None


_UNDOES = {Entry.Kind.UNDO_STARTED, Entry.Kind.UNDONE, Entry.Kind.UNDO_FAILED}
_WORDS: dict[str, str] = {
    Entry.Kind.STARTED: "under way",
    Entry.Kind.UNDO_STARTED: "being taken back",
    Entry.Kind.UNDONE: "taken back",
    Entry.Kind.UNDO_FAILED: "could not be taken back",
}


def journal_of(operation: Operation) -> list[StepLine]:
    """The journal folded into a line for each step and, apart, for its undo; one query."""
    lines: dict[tuple[str, bool], StepLine] = {}
    nothing_to_undo = _without_undo(operation)
    for entry in operation.entries.order_by("number"):
        if entry.kind == Entry.Kind.NOTED:
            if not entry.step:
                lines[(f"note {entry.number}", False)] = StepLine("", entry.kind, note_said(entry.data))
            continue
        is_undo = entry.kind in _UNDOES
        if is_undo and entry.step in nothing_to_undo:
            continue
        line = lines.setdefault((entry.step, is_undo), StepLine(entry.step, ""))
        _fold(line, entry)
    return list(lines.values())


def _without_undo(operation: Operation) -> set[str]:
    """Steps of the operation that leave nothing to take back."""
    saga = sagas().get(operation.kind)
    return {step.name for step in saga.steps if not step.has_undo} if saga else set()


def _fold(line: StepLine, entry: Entry) -> None:
    line.state = entry.kind
    line.attempts = max(line.attempts, entry.attempt)
    if entry.kind in {Entry.Kind.STARTED, Entry.Kind.UNDO_STARTED}:
        line.started_at = line.started_at or entry.created_at
        line.ended_at = None
    else:
        line.ended_at = entry.created_at
    failed = entry.kind in {Entry.Kind.FAILED, Entry.Kind.UNDO_FAILED}
    said = entry.data.get("error", entry.data) if failed else {}
    line.error = str(said.get("message", "")) if isinstance(said, dict) else ""


def progress_said(operation: Operation, lines: list[StepLine]) -> str:
    """What an open operation does just now: its own words, else the step that is under way."""
    if operation.progress_text and operation.state != Operation.State.UNDOING:
        return operation.progress_text
    now = next((line for line in reversed(lines) if line.is_open), None)
    if operation.state == Operation.State.UNDOING:
        return f"Taking back: {step_said(now.step)}" if now else "Taking back what was done"
    if now is None:
        return "Waiting for its turn" if operation.state == Operation.State.QUEUED else "Going on"
    return step_said(now.step).capitalize()


def layers_of(operation: Operation) -> list[dict[str, Any]]:
    """The layers of an image that the operation fetches, as far as it is, or has fetched; empty for any other."""
    if operation.state == Operation.State.DONE:
        done = operation.entries.filter(kind=Entry.Kind.DONE).order_by("-number").values_list("data", flat=True).first()
        told = (done or {}).get("output")
    else:
        told = operation.progress_data
    layers = (told or {}).get("layers")
    return [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []


def subject_remains(operation: Operation) -> bool:
    """False where the operation itself did away with its subject: a delete that is done, a create that failed."""
    if operation.kind.startswith(("create_", "clone_", "restore_vm")):
        return operation.state not in {Operation.State.FAILED, Operation.State.CANCELLED}
    return not (operation.kind.startswith("delete_") and operation.state == Operation.State.DONE)


def audit_records(text: str = "") -> QuerySet[AuditRecord]:
    """Records whose person, thing or words have the text in them, newest first."""
    rows = AuditRecord.objects.all()
    if not text:
        return rows
    named = Q(thing_name__icontains=text) | Q(user_name__icontains=text)
    return rows.filter(named | Q(verb__icontains=text) | Q(verb__in=verbs_said(text)))


_PLACES = {"source": "from", "target": "to", "host": "on"}


def audit_details(records: Iterable[AuditRecord]) -> list[tuple[AuditRecord, str]]:
    """Each record with its detail in words, hosts by their names; one query."""
    names = {str(uuid): name for uuid, name in Host.objects.values_list("pk", "name")}
    return [(record, _detail_said(record, names)) for record in records]


def _detail_said(record: AuditRecord, names: dict[str, str]) -> str:
    detail = dict(record.detail)
    asked = detail.pop("parameters", None) or {}
    said = []
    if record.thing_kind != "host":
        hidden = {"host"} if "source" in asked else set()
        said = [
            f"{word} {names[asked[key]]}"
            for key, word in _PLACES.items()
            if key not in hidden and asked.get(key) in names
        ]
    if asked.get("force"):
        said.append("by force")
    for key, value in detail.items():
        if value not in (None, "", [], False):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            said.append(f"{key.replace('_', ' ')}: {shown[:12] + '…' if key == 'sha256' else shown[:80]}")
    return ", ".join(said)
