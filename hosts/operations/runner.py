"""The engine: folds an operation's journal and does the next things.

Nothing is kept in memory between two calls, so any control worker may advance any operation at any time, twice at
once too: the operation's row is locked (PostgreSQL) or the whole database is (SQLite, IMMEDIATE), and the journal's
unique numbers stand behind both. Everything that can be done without waiting for a host is one transaction; what is
sent is sent after its commit, and what that loses the sweep sends again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from hosts.models import Entry, Operation
from hosts.operations.clock import database_now
from hosts.operations.journal import from_wire_name
from hosts.operations.transport import Transport, transport_default
from hosts.operations.work import Work, is_from
from hosts.publish import publish_change

log = logging.getLogger(__name__)

Kind = Entry.Kind
State = Operation.State
ACTIVE = (State.QUEUED, State.RUNNING, State.UNDOING)


def backoff_s(tries: int) -> float:
    """Seconds before the next try: 1, 2, 4 ... 15, with jitter so that many do not return together."""
    return min(15.0, 2.0 ** (tries - 1)) * random.uniform(0.8, 1.2)


class Engine:
    """Advances operations. Tests give their own transport, clock, pauses, and a hook that crashes at each write."""

    def __init__(
        self,
        transport: Transport | None = None,
        clock: Callable[[], datetime] = database_now,
        pause_s: Callable[[int], float] = backoff_s,
        on_write: Callable[[str], None] = lambda _when: None,
    ) -> None:
        self._transport = transport or transport_default()
        self._clock = clock
        self._pause_s = pause_s
        self._on_write = on_write

    # --- the three doors

    def advance(self, operation_id: str | UUID) -> None:
        """Does everything that can be done now without waiting for a host."""
        self._transact(operation_id, lambda _work: True)

    def report_accept(self, report: dict[str, Any]) -> bool:
        """Takes a plane's report once and goes on; whether it told anything new. A stale one changes nothing."""
        return self._transact(report["operation"], lambda work: work.report(report))

    def progress_accept(self, progress: dict[str, Any]) -> bool:
        """Notes a sign of life of the step under way; whether it was one of that step."""
        last = Entry.objects.filter(operation_id=progress["operation"]).order_by("-number").first()
        if (
            last is None
            or last.step != from_wire_name(progress["step"])[0]
            or last.kind not in (Kind.STARTED, Kind.UNDO_STARTED)
            or not is_from(progress, last.data["queue"])
        ):
            return False
        Operation.objects.filter(pk=progress["operation"], state__in=ACTIVE).update(
            heartbeat_at=self._clock(),
            progress_percent=progress.get("percent"),
            progress_text=str(progress.get("text") or "")[:300],
            progress_data=progress.get("data") or {},
        )
        publish_change("operation", progress["operation"], "progress")
        return True

    def sweep(self) -> int:
        """Finds what messages lost: sends commands again, gives up those past their time, advances all; how many."""
        ids = list(Operation.objects.filter(state__in=ACTIVE).order_by("created_at").values_list("pk", flat=True))
        for operation_id in ids:
            try:
                self._transact(operation_id, Work.lost_find, always_on=True)
            except (OperationalError, InterfaceError) as error:
                log.warning("operation %s is left to the next sweep: %s", operation_id, error)
        return len(ids)

    # --- one transaction

    def _transact(self, operation_id: str | UUID, begin: Callable[[Work], bool], *, always_on: bool = False) -> bool:
        """Begins with that; where it was something, or `always_on`, goes on as far as it can. Whether it was."""
        with transaction.atomic():
            operation = Operation.objects.select_for_update().filter(pk=operation_id).first()
            if operation is None or operation.state not in ACTIVE:
                return False
            work = Work(operation, self._clock(), self._transport, self._pause_s)
            was_something = begin(work)
            if was_something or always_on:
                work.go_on()
            if work.has_written:
                work.save()
                self._on_write("before commit")
        if work.has_written:
            self._on_write("after commit")
        for send in work.after_commit:
            send()
        return was_something
