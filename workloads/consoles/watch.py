"""Looks after all open consoles of this web process: who may no longer, what is gone, and what has moved.

Twice a second, by a number of queries that does not grow with the consoles: a console closes within a second when
its user's right, its login or its thing ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from hosts.access import may
from hosts.logins import Logins
from hosts.models import Host, Plane
from workloads.consoles.link import GatewayPlace
from workloads.models import Console, Workload
from workloads.services.consoles import SEEN_EVERY, verb_needed

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.45
ENDED, LOGGED_OUT, FORBIDDEN, GONE, REFUSED, SILENT = 1000, 4401, 4403, 4404, 4408, 1011


# So long a console may stay open while nobody can tell whether it still may.
UNSEEN_MOST_S = 30.0


@dataclass(frozen=True)
class Subject:
    """What a console is of and whose it is, as far as the watch must know."""

    pk: UUID
    kind: str
    thing_id: UUID
    thing_name: str
    is_view_only: bool
    session_key: str


@dataclass(frozen=True)
class Facts:
    """The thing as the database has it now; `place` None: nobody knows where its consoles are."""

    name: str
    state: str
    generation: int
    host: str
    place: GatewayPlace | None


@dataclass(frozen=True)
class Ending:
    """Why a console must be closed, and by which code."""

    code: int
    sentence: str


UNSEEN = Ending(SILENT, "The database does not answer, so nobody can tell whether this console may stay open.")


class Watched(Protocol):
    """A console of this process."""

    subject: Subject

    def found(self, finding: Facts | Ending) -> None:
        """Called on the loop's thread, twice a second."""


class Looker:
    """The questions to the database, for a thread. `look` makes up to seven queries for any number of consoles."""

    def __init__(self) -> None:
        self._logins = Logins()
        self._seen_at = float("-inf")

    def look(self, subjects: Iterable[Subject]) -> dict[UUID, Facts | Ending]:
        subjects = list(subjects)
        users = self._logins.standing(subject.session_key for subject in subjects)
        pks = [subject.pk for subject in subjects]
        ended = dict(Console.objects.filter(pk__in=pks).exclude(ended_at=None).values_list("pk", "end_sentence"))
        facts = facts_of(subjects)
        self._note_seen(pks)
        found: dict[UUID, Facts | Ending] = {}
        for subject in subjects:
            user = users.get(subject.session_key)
            if user is None:
                found[subject.pk] = Ending(LOGGED_OUT, "You were logged out.")
            elif not may(user, verb_needed(subject.kind, subject.is_view_only)):
                found[subject.pk] = Ending(FORBIDDEN, "Your role no longer allows this console.")
            elif subject.pk in ended:
                found[subject.pk] = Ending(ENDED, ended[subject.pk])
            else:
                found[subject.pk] = facts.get(subject.pk) or Ending(GONE, f"{subject.thing_name} was removed.")
        return found

    def _note_seen(self, pks: list[UUID]) -> None:
        """Tells the sweep that these consoles have a process that looks after them."""
        if time.monotonic() - self._seen_at >= SEEN_EVERY.total_seconds():
            self._seen_at = time.monotonic()
            Console.objects.filter(pk__in=pks, ended_at=None).update(seen_at=timezone.now())


def facts_of(subjects: Iterable[Subject]) -> dict[UUID, Facts | Ending]:
    """The facts by the console's pk, for those whose thing is there. Three queries."""
    subjects = list(subjects)
    ids = {subject.thing_id for subject in subjects if subject.kind != Console.Kind.SHELL}
    host_ids = {subject.thing_id for subject in subjects if subject.kind == Console.Kind.SHELL}
    workloads = {row.pk: row for row in Workload.objects.filter(pk__in=ids).select_related("host").defer("labels")}
    hosts = {row.pk: row for row in Host.objects.filter(pk__in=host_ids)} if host_ids else {}
    every = {*hosts.values(), *(row.host for row in workloads.values() if row.host is not None)}
    names = {host.name for host in every}
    keys = dict(Plane.objects.filter(kind=Plane.Kind.HOST, name__in=names).values_list("name", "token_sha256"))
    found: dict[UUID, Facts | Ending] = {}
    for subject in subjects:
        if subject.kind == Console.Kind.SHELL:
            host = hosts.get(subject.thing_id)
            if host is not None and not host.is_shell_enabled:
                found[subject.pk] = Ending(FORBIDDEN, f"A shell on {host.name} is no longer enabled.")
            elif host is not None:
                found[subject.pk] = Facts(host.name, "running", 0, host.name, place_of(host, keys))
        elif (workload := workloads.get(subject.thing_id)) is not None:
            host = workload.host
            place = place_of(host, keys) if host is not None else None
            name = host.name if host is not None else ""
            found[subject.pk] = Facts(workload.name, workload.state, workload.generation, name, place)
    return found


def place_of(host: Host, keys: dict[str, str]) -> GatewayPlace | None:
    if not host.console_address or host.name not in keys:
        return None
    return GatewayPlace(host.name, host.console_address, host.console_port, host.console_sha256, keys[host.name])


class Watch:
    """One for each web process; it runs while there are consoles. All methods are called on the loop's thread."""

    def __init__(self) -> None:
        self._consoles: dict[UUID, Watched] = {}
        self._task: asyncio.Task[None] | None = None
        # A thread of its own: a page that keeps the others busy must not keep a console open.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="consoles")
        self._looker = Looker()

    @property
    def count(self) -> int:
        return len(self._consoles)

    def add(self, console: Watched) -> None:
        self._consoles[console.subject.pk] = console
        if self._task is None or self._task.done() or self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.create_task(self._run())

    def remove(self, console: Watched) -> None:
        self._consoles.pop(console.subject.pk, None)

    async def _run(self) -> None:
        looked_at = time.monotonic()
        while self._consoles:
            await asyncio.sleep(LOOK_EVERY_S)
            consoles = list(self._consoles.values())
            subjects = [console.subject for console in consoles]
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._look, subjects)
                looked_at = time.monotonic()
            except DatabaseError as error:
                log.warning("Open consoles could not be looked after: %s", error)
                if time.monotonic() - looked_at < UNSEEN_MOST_S:
                    continue
                found = dict.fromkeys((subject.pk for subject in subjects), UNSEEN)
            for console in consoles:
                if console.subject.pk in self._consoles:
                    console.found(found[console.subject.pk])

    def _look(self, subjects: list[Subject]) -> dict[UUID, Facts | Ending]:
        close_old_connections()
        try:
            return self._looker.look(subjects)
        finally:
            close_old_connections()


WATCH = Watch()
