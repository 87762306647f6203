"""Tickets for consoles, and the consoles that were opened with them.

A ticket is good for one use within 30 s, by the login that asked for it, for the thing as it was then.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from hosts.access import Verb
from hosts.accounts import account_of
from hosts.audit import audit_write
from hosts.console_wire import WATCHED
from hosts.credentials import token_hash, token_new
from hosts.errors import Forbidden, Invalid, NotFound, Refused, TooMany
from hosts.models import Host
from hosts.services import refuse_unless
from hosts.services.doors import User
from hosts.states import why_not as host_why_not
from workloads.models import Console, Workload
from workloads.states import why_not

TICKET_S = 30
TICKETS_PER_MINUTE_MOST = 60
OPEN_MOST = 50  # consoles of one user at once
SEEN_EVERY = timedelta(seconds=5)
LOST_AFTER = timedelta(seconds=30)
KEPT_FOR = timedelta(days=90)
_MINUTES = re.compile(r"[1-9][0-9]{0,6}")
WORDS_MOST, WORD_LENGTH_MOST = 64, 4096
THING_KINDS = {
    "vnc": "vm",
    "serial": "vm",
    "exec": "container",
    "attach": "container",
    "log": "container",
    "top": "container",
    "diff": "container",
    "shell": "host",
}
REFUSED = "This ticket was used already, is older than 30 seconds, or belongs to another login. Open the console anew."


@dataclass(frozen=True)
class Opening:
    """A console whose ticket was accepted. `generation` is the workload's; 0 for a host."""

    pk: UUID
    kind: str
    thing_id: UUID
    thing_name: str
    generation: int
    is_view_only: bool
    command: tuple[str, ...]
    user_name: str
    used_at: datetime


def verb_needed(kind: str, view_only: bool) -> Verb:
    """The right without which no such console is opened, or stays open."""
    if kind == Console.Kind.SHELL:
        return "administer"
    return "view" if view_only and kind in WATCHED else "operate"


def session_hash(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()


def ticket_issue(
    user: User,
    session_key: str | None,
    *,
    kind: str,
    thing: UUID,
    view_only: bool = False,
    command: list[str] | None = None,
) -> str:
    """The secret of a fresh ticket; it is shown once."""
    if kind not in Console.Kind.values:
        raise Invalid("There is no console of that kind.", field="kind")
    if view_only and kind not in WATCHED:
        raise Invalid(
            "A shell or a program's own terminal is not only looked at: it needs an operator.", field="view_only"
        )
    refuse_unless(user, verb_needed(kind, view_only))
    account = account_of(user)
    if account is None or not session_key:
        raise Forbidden("A console belongs to a login. Log in first.")
    words = command_checked(kind, command or [])
    found = thing_found(kind, thing)
    if reason := thing_why_not(kind, found):
        raise Refused(reason)
    secret = token_new()
    with transaction.atomic():
        _refuse_too_many(user)
        Console.objects.create(
            secret_sha256=token_hash(secret),
            user=account,
            session_sha256=session_hash(session_key),
            kind=kind,
            thing_id=found.pk,
            thing_name=found.name,
            generation=generation_of(found),
            is_view_only=view_only,
            command=words,
            issued_at=timezone.now(),
        )
        audit_write(user, "console_ask", THING_KINDS[kind], found.pk, found.name, console=kind, view_only=view_only)
    return secret


def command_checked(kind: str, command: list[str]) -> list[str]:
    if kind == Console.Kind.LOG:
        if len(command) > 1 or any(not _MINUTES.fullmatch(word) for word in command):
            raise Invalid("A log begins a number of minutes ago.", field="command")
        return command
    if command and kind != Console.Kind.EXEC:
        raise Invalid("Only a console of kind exec takes a command.", field="command")
    if len(command) > WORDS_MOST or any(len(word) > WORD_LENGTH_MOST or "\0" in word for word in command):
        raise Invalid(f"The command has more than {WORDS_MOST} words, or one that is too long.", field="command")
    return command


def thing_found(kind: str, thing: UUID) -> Workload | Host:
    if kind == Console.Kind.SHELL:
        host = Host.objects.filter(pk=thing).first()
        if host is None:
            raise NotFound("There is no such host. It may have been removed.")
        return host
    workload = Workload.objects.select_related("host").filter(pk=thing).first()
    if workload is None:
        raise NotFound("There is no such workload. It may have been removed.")
    return workload


def thing_why_not(kind: str, found: Workload | Host) -> str | None:
    """None, or why the console cannot be opened now."""
    return host_why_not(found, kind) if isinstance(found, Host) else why_not(found, kind)


def generation_of(found: Workload | Host) -> int:
    return found.generation if isinstance(found, Workload) else 0


def _refuse_too_many(user: User) -> None:
    now = timezone.now()
    own = Console.objects.filter(user=account_of(user))
    if own.filter(issued_at__gt=now - timedelta(minutes=1)).count() >= TICKETS_PER_MINUTE_MOST:
        raise TooMany("You have opened many consoles within a minute. Wait a little.")
    if own.filter(ended_at=None, seen_at__gt=now - LOST_AFTER).count() >= OPEN_MOST:
        raise TooMany(f"You have {OPEN_MOST} consoles open. Close some of them first.")


def ticket_use(user: User, session_key: str, secret: str) -> Opening:
    """The console that the ticket opens. Of two uses at the same time one gets it. Raises Forbidden and others."""
    now = timezone.now()
    unused = Console.objects.filter(
        secret_sha256=token_hash(secret),
        user=account_of(user),
        session_sha256=session_hash(session_key),
        used_at=None,
        issued_at__gt=now - timedelta(seconds=TICKET_S),
    )
    if unused.update(used_at=now) != 1:
        raise Forbidden(REFUSED)
    console = Console.objects.get(secret_sha256=token_hash(secret))
    refuse_unless(user, verb_needed(console.kind, console.is_view_only))
    found = thing_found(console.kind, console.thing_id)
    if reason := thing_why_not(console.kind, found):
        raise Refused(reason)
    if generation_of(found) != console.generation:
        raise Forbidden(f"{found.name} changed hands since this ticket was given out. Open the console anew.")
    with transaction.atomic():
        Console.objects.filter(pk=console.pk).update(seen_at=now)
        audit_write(
            user,
            "console_open",
            THING_KINDS[console.kind],
            found.pk,
            found.name,
            console=console.kind,
            view_only=console.is_view_only,
            command=console.command,
        )
    return Opening(
        pk=console.pk,
        kind=console.kind,
        thing_id=console.thing_id,
        thing_name=console.thing_name,
        generation=console.generation,
        is_view_only=console.is_view_only,
        command=tuple(console.command),
        user_name=user.get_username(),
        used_at=now,
    )


@transaction.atomic
def console_ended(console_pk: UUID, sentence: str, *, by: User | None = None) -> bool:
    """Notes the end of a console, once; whether this call did. `by` is who ended somebody else's."""
    now = timezone.now()
    rows = Console.objects.filter(pk=console_pk, ended_at=None)
    console = rows.select_related("user").first()
    if console is None or not rows.update(ended_at=now, end_sentence=sentence[:300]):
        return False
    if console.used_at is not None and console.seen_at is not None:
        audit_write(
            by or console.user,
            "console_cut" if by else "console_end",
            THING_KINDS[console.kind],
            console.thing_id,
            console.thing_name,
            console=console.kind,
            of=console.user.get_username(),
            seconds=round((now - console.used_at).total_seconds(), 1),
            why=sentence[:300],
        )
    return True


def console_end(user: User, console: Console) -> None:
    """Ends somebody's open console; its web process closes it within a second."""
    refuse_unless(user, "administer")
    if not console_ended(console.pk, f"{user.get_username()} ended this console.", by=user):
        raise Refused("This console has ended already.")


def consoles_sweep() -> int:
    """Ends those whose web process is gone, and removes old rows; how many were ended."""
    now = timezone.now()
    lost = Console.objects.filter(ended_at=None, seen_at__lt=now - LOST_AFTER)
    ended = sum(console_ended(pk, "Its web process ended.") for pk in lost.values_list("pk", flat=True))
    Console.objects.filter(used_at=None, issued_at__lt=now - timedelta(hours=1)).delete()
    Console.objects.filter(issued_at__lt=now - KEPT_FOR).exclude(seen_at__gt=now - LOST_AFTER).delete()
    return ended
