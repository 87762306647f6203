"""The plane's only memory: one small SQLite file that outlives every process of it.

It holds the highest generation seen of each subject, every step with its state and its report, the reports
that the control plane has not got yet, requests to abort, and flags. Several processes and threads use it at
once: WAL, `BEGIN IMMEDIATE` for every write, and one connection for each thread (pitfalls.md M30).

Every commit outlives the death of its process. Waiting for the disk, so that it outlives a power cut too, is the
larger part of a quick step's time (7 ms each on a busy machine, measured); what is repeated anyway after a power cut
does not wait. Source: sqlite.org/pragma.html, "synchronous".
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS generation (
    subject TEXT PRIMARY KEY, generation INTEGER NOT NULL, seen_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS step (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, attempt INTEGER NOT NULL, report TEXT,
    unsent INTEGER NOT NULL DEFAULT 0, changed_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS step_unsent ON step (changed_at) WHERE unsent = 1;
CREATE TABLE IF NOT EXISTS refusal (
    number INTEGER PRIMARY KEY AUTOINCREMENT, report TEXT NOT NULL, made_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS abort (
    operation TEXT NOT NULL, step TEXT NOT NULL, asked_at REAL NOT NULL, PRIMARY KEY (operation, step));
CREATE TABLE IF NOT EXISTS flag (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Step:
    """What is known of one step key; `state` is "running", "done" or "failed"."""

    key: str
    state: str
    attempt: int
    report: dict[str, Any] | None


@dataclass(frozen=True)
class Unsent:
    """A report waiting for the broker; `ticket` is what `report_sent` wants back."""

    ticket: str
    report: dict[str, Any]


class StateFile:
    """The state file at `path`, made when it is not there.

    `durable=False` gives up the fsync at each commit, for tests alone.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time, durable: bool = True) -> None:
        self.path = Path(path)
        self._clock = clock
        self._durable = durable
        self._local = threading.local()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection().executescript(_SCHEMA)
        os.chmod(self.path, 0o600)

    # --- generations

    def generation_accept(self, subject: str, generation: int) -> bool:
        """Whether `generation` is as high as any seen of `subject`; if so it is now the highest."""
        if self.generation_highest(subject) == generation:
            return True
        with self._write() as db:
            row = db.execute("SELECT generation FROM generation WHERE subject = ?", (subject,)).fetchone()
            if row and row[0] > generation:
                return False
            db.execute(
                "INSERT INTO generation VALUES (?, ?, ?) ON CONFLICT (subject) DO UPDATE"
                " SET generation = excluded.generation, seen_at = excluded.seen_at",
                (subject, generation, self._clock()),
            )
        return True

    def generation_highest(self, subject: str) -> int | None:
        row = self._connection().execute("SELECT generation FROM generation WHERE subject = ?", (subject,)).fetchone()
        return row[0] if row else None

    # --- steps

    def step(self, key: str) -> Step | None:
        row = (
            self._connection().execute("SELECT key, state, attempt, report FROM step WHERE key = ?", (key,)).fetchone()
        )
        return Step(row[0], row[1], row[2], json.loads(row[3]) if row[3] else None) if row else None

    def step_started(self, key: str, attempt: int) -> None:
        """Notes that the step runs. A power cut may take the note of a "do" back: it ends the step too."""
        # Of an undo it must stay: a late "do" is refused because of it.
        with self._write(waits_for_disk=not key.endswith(":do")) as db:
            db.execute(
                "INSERT INTO step (key, state, attempt, report, unsent, changed_at)"
                " VALUES (?, 'running', ?, NULL, 0, ?) ON CONFLICT (key) DO UPDATE SET state = 'running',"
                " attempt = excluded.attempt, report = NULL, unsent = 0, changed_at = excluded.changed_at",
                (key, attempt, self._clock()),
            )

    def attempt_raise(self, key: str, attempt: int) -> None:
        """Notes that a running step was delivered again under a higher attempt."""
        with self._write() as db:
            db.execute("UPDATE step SET attempt = MAX(attempt, ?) WHERE key = ?", (attempt, key))

    def attempt_of(self, key: str) -> int:
        """The highest attempt of a step delivered so far, 0 when there was none."""
        row = self._connection().execute("SELECT attempt FROM step WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    def step_finished(self, key: str, state: str, report: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Keeps the report as unsent, under the highest attempt delivered; gives its ticket and itself."""
        with self._write() as db:
            row = db.execute("SELECT attempt FROM step WHERE key = ?", (key,)).fetchone()
            attempt = max(report["attempt"], row[0] if row else 0)
            report = report | {"attempt": attempt}
            db.execute(
                "INSERT INTO step (key, state, attempt, report, unsent, changed_at)"
                " VALUES (?, ?, ?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state,"
                " attempt = excluded.attempt, report = excluded.report, unsent = 1,"
                " changed_at = excluded.changed_at",
                (key, state, attempt, json.dumps(report), self._clock()),
            )
        return f"step/{attempt}/{key}", report

    def refusal_add(self, report: dict[str, Any]) -> str:
        """Keeps a refusal as unsent without touching what is known of its step; gives its ticket."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO refusal (report, made_at) VALUES (?, ?)", (json.dumps(report), self._clock())
            )
        return f"refusal/{cursor.lastrowid}/"

    # --- reports

    def reports_unsent(self, older_than_s: float = 0.0, limit: int = 100) -> list[Unsent]:
        """Reports not yet published, oldest first; younger ones are left to the lane that made them."""
        before = self._clock() - older_than_s
        db = self._connection()
        steps = db.execute(
            "SELECT key, attempt, report, changed_at FROM step WHERE unsent = 1 AND changed_at <= ?"
            " ORDER BY changed_at LIMIT ?",
            (before, limit),
        ).fetchall()
        refusals = db.execute(
            "SELECT number, report, made_at FROM refusal WHERE made_at <= ? ORDER BY number LIMIT ?",
            (before, limit),
        ).fetchall()
        found = [(at, Unsent(f"step/{attempt}/{key}", json.loads(text))) for key, attempt, text, at in steps]
        found += [(at, Unsent(f"refusal/{number}/", json.loads(text))) for number, text, at in refusals]
        return [unsent for _, unsent in sorted(found, key=lambda pair: pair[0])[:limit]]

    def report_sent(self, ticket: str) -> None:
        """Marks a report as published; one of an older attempt than the newest changes nothing.

        A power cut may take that back: the report is then sent twice, and accepted once.
        """
        kind, number, key = ticket.split("/", 2)
        with self._write(waits_for_disk=False) as db:
            if kind == "refusal":
                db.execute("DELETE FROM refusal WHERE number = ?", (int(number),))
            else:
                db.execute(
                    "UPDATE step SET unsent = 0 WHERE key = ? AND attempt = ? AND state != 'running'",
                    (key, int(number)),
                )

    # --- aborts

    def abort_request(self, operation: str, step: str) -> None:
        """Asks a step to stop; an empty `step` means every step of the operation."""
        with self._write() as db:
            db.execute("INSERT OR IGNORE INTO abort VALUES (?, ?, ?)", (operation, step, self._clock()))

    def is_aborted(self, operation: str, step: str) -> bool:
        query = "SELECT 1 FROM abort WHERE operation = ? AND step IN (?, '')"
        return self._connection().execute(query, (operation, step)).fetchone() is not None

    # --- flags and counters

    def flag(self, name: str) -> str | None:
        row = self._connection().execute("SELECT value FROM flag WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def flag_set(self, name: str, value: str | None) -> None:
        """Sets a flag; None removes it."""
        with self._write() as db:
            if value is None:
                db.execute("DELETE FROM flag WHERE name = ?", (name,))
            else:
                db.execute("INSERT OR REPLACE INTO flag VALUES (?, ?)", (name, value))

    def sequence_next(self, name: str) -> int:
        """The next number of a counter that never goes back, also not over restarts."""
        with self._write() as db:
            row = db.execute("SELECT value FROM flag WHERE name = ?", (name,)).fetchone()
            number = int(row[0]) + 1 if row else 1
            db.execute("INSERT OR REPLACE INTO flag VALUES (?, ?)", (name, str(number)))
        return number

    # --- upkeep

    def prune(self, older_than_s: float) -> int:
        """Forgets finished, published steps and aborts of that age; gives how many rows went.

        Generations stay: they are few, and forgetting one would let a stale command run.
        """
        before = self._clock() - older_than_s
        with self._write() as db:
            gone = db.execute(
                "DELETE FROM step WHERE unsent = 0 AND state != 'running' AND changed_at < ?", (before,)
            ).rowcount
            gone += db.execute("DELETE FROM abort WHERE asked_at < ?", (before,)).rowcount
        return gone

    def close(self) -> None:
        """Closes the calling thread's connection; others close as their threads end."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> sqlite3.Connection:
        # One connection for each thread of each process: sqlite3 objects must not cross a fork.
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.connection = None
        if getattr(self._local, "connection", None) is None:
            connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
            if not self._durable:
                connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA journal_mode=WAL")
            self._local.connection = connection
            self._local.pid = os.getpid()
        return self._local.connection

    @contextmanager
    def _write(self, *, waits_for_disk: bool = True) -> Iterator[sqlite3.Connection]:
        connection = self._connection()
        durable = "FULL" if waits_for_disk else "NORMAL"
        connection.execute(f"PRAGMA synchronous={durable if self._durable else 'OFF'}")
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
