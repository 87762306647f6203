"""Tickets: who gets one, for what, and that each is good once."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from hosts.errors import Forbidden, Invalid, NotFound, Refused, TooMany
from hosts.models import AuditRecord, Host
from tests.factories import container_make, host_make, user_make, vm_make
from workloads.models import Console, Workload
from workloads.services import consoles
from workloads.services.consoles import console_end, console_ended, consoles_sweep, ticket_issue, ticket_use

pytestmark = pytest.mark.django_db
LOGIN = "session-key-of-the-test"


@pytest.fixture
def operator() -> User:
    return user_make("operator")


@pytest.fixture
def vm() -> Workload:
    return vm_make(host_make())


def issue(user: User, thing: Workload | Host, kind: str = "serial", **more: Any) -> str:
    return ticket_issue(user, LOGIN, kind=kind, thing=thing.pk, **more)


def verbs(thing: Workload | Host) -> list[str]:
    return list(AuditRecord.objects.filter(thing_id=str(thing.pk)).order_by("id").values_list("verb", flat=True))


# -- who gets one


@pytest.mark.parametrize(
    ("role", "kind", "view_only", "is_given"),
    [
        ("viewer", "serial", True, True),
        ("viewer", "vnc", True, True),
        ("viewer", "serial", False, False),
        ("viewer", "vnc", False, False),
        ("viewer", "exec", False, False),
        ("operator", "serial", False, True),
        ("operator", "exec", False, True),
        ("operator", "attach", False, True),
        ("operator", "shell", False, False),
        ("administrator", "shell", False, True),
    ],
)
def test_each_kind_of_console_has_its_right(role: str, kind: str, view_only: bool, is_given: bool) -> None:
    """S13"""
    host = host_make(is_shell_enabled=True)
    things = {"exec": container_make, "attach": container_make, "shell": lambda host: host}
    thing = things.get(kind, vm_make)(host)

    if is_given:
        assert issue(user_make(role), thing, kind, view_only=view_only)
    else:
        with pytest.raises(Forbidden):
            issue(user_make(role), thing, kind, view_only=view_only)
        assert not Console.objects.exists()


@pytest.mark.parametrize(
    ("kind", "more", "error"),
    [
        ("spice", {}, Invalid),
        ("exec", {"view_only": True}, Invalid),
        ("serial", {"command": ["id"]}, Invalid),
        ("exec", {"command": ["a\0b"]}, Invalid),
        ("exec", {"command": ["x"] * 65}, Invalid),
        ("exec", {"command": ["x" * 5000]}, Invalid),
    ],
)
def test_nonsense_is_refused(kind: str, more: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        issue(user_make("administrator"), container_make(host_make()), kind, **more)


def test_nobody_gets_a_console_of_nothing(operator: User) -> None:
    with pytest.raises(NotFound):
        ticket_issue(operator, LOGIN, kind="serial", thing=uuid.uuid4())


@pytest.mark.parametrize(
    ("state", "host", "words"),
    [
        ("stopped", {}, "is stopped, so it has no console"),
        ("crashed", {}, "is crashed"),
        ("unknown", {}, "Nobody knows whether"),
        ("gone", {}, "is gone"),
        ("running", {"power": "off"}, "powered off"),
        ("running", {"last_seen_at": None}, "does not answer"),
        ("running", {"hypervisor_sentence": "libvirtd is away."}, "libvirtd is away"),
        ("running", {"console_address": ""}, "has not told where its consoles are"),
    ],
)
def test_a_console_that_cannot_be_opened_says_why(operator: User, state: str, host: dict[str, Any], words: str) -> None:
    vm = vm_make(host_make(**host), state=state)

    with pytest.raises(Refused, match=words):
        issue(operator, vm)


def test_each_workload_has_the_consoles_of_its_kind(operator: User) -> None:
    host = host_make()
    for thing, kind in ((vm_make(host), "exec"), (container_make(host), "vnc")):
        with pytest.raises(Refused, match="no console of that kind"):
            issue(operator, thing, kind)


def test_a_shell_needs_the_hosts_consent() -> None:
    with pytest.raises(Refused, match="host_shell"):
        issue(user_make("administrator"), host_make(), "shell")


def test_a_starting_or_moving_vm_can_be_looked_at(operator: User) -> None:
    for state in ("starting", "migrating", "paused"):
        assert issue(operator, vm_make(host_make(), state=state))


def test_the_secret_is_kept_nowhere(operator: User, vm: Workload) -> None:
    """S42"""
    secret = issue(operator, vm)

    row = Console.objects.values().get()
    record = AuditRecord.objects.values().get()
    assert secret not in str(row) and secret not in str(record)
    assert LOGIN not in str(row)


# -- using it


def test_a_ticket_opens_what_it_was_asked_for(operator: User, vm: Workload) -> None:
    opening = ticket_use(operator, LOGIN, issue(operator, vm))

    assert (opening.kind, opening.thing_id, opening.is_view_only) == ("serial", vm.pk, False)
    assert verbs(vm) == ["console_ask", "console_open"]


def test_a_ticket_is_good_once(operator: User, vm: Workload) -> None:
    """S11"""
    secret = issue(operator, vm)
    ticket_use(operator, LOGIN, secret)

    with pytest.raises(Forbidden):
        ticket_use(operator, LOGIN, secret)


def test_a_ticket_is_good_for_30_seconds(operator: User, vm: Workload) -> None:
    secret = issue(operator, vm)
    Console.objects.update(issued_at=timezone.now() - timedelta(seconds=31))

    with pytest.raises(Forbidden):
        ticket_use(operator, LOGIN, secret)


def test_a_ticket_is_good_for_its_user_and_login_alone(operator: User, vm: Workload) -> None:
    """S11; a thief's try does not spend it."""
    secret = issue(operator, vm)
    for user, login in ((user_make("administrator"), LOGIN), (operator, "another-login")):
        with pytest.raises(Forbidden):
            ticket_use(user, login, secret)

    assert ticket_use(operator, LOGIN, secret)


def test_a_ticket_is_worth_nothing_after_its_vm_moved(operator: User, vm: Workload) -> None:
    """S11"""
    secret = issue(operator, vm)
    Workload.objects.filter(pk=vm.pk).update(host=host_make(), generation=9)

    with pytest.raises(Forbidden, match="changed hands"):
        ticket_use(operator, LOGIN, secret)


def test_a_ticket_is_worth_nothing_after_its_vm_was_removed_or_stopped(operator: User, vm: Workload) -> None:
    """S11"""
    first, second = issue(operator, vm), issue(operator, vm)
    Workload.objects.filter(pk=vm.pk).update(state="stopped")
    with pytest.raises(Refused):
        ticket_use(operator, LOGIN, first)
    vm.delete()
    with pytest.raises(NotFound):
        ticket_use(operator, LOGIN, second)


def test_a_right_that_was_lost_meanwhile_counts(operator: User, vm: Workload) -> None:
    """S13"""
    secret = issue(operator, vm)
    operator.groups.clear()

    with pytest.raises(Forbidden):
        ticket_use(User.objects.get(pk=operator.pk), LOGIN, secret)


@pytest.mark.django_db(transaction=True)
def test_of_many_uses_at_once_one_gets_it(operator: User, vm: Workload) -> None:
    """S11"""
    secret = issue(operator, vm)
    start, won = threading.Barrier(4), []

    def use() -> None:
        start.wait()
        try:
            ticket_use(operator, LOGIN, secret)
            won.append(1)
        except Forbidden:
            pass
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(won) == 1


def test_many_tickets_within_a_minute_are_too_many(operator: User, vm: Workload, monkeypatch: Any) -> None:
    """S48"""
    monkeypatch.setattr(consoles, "TICKETS_PER_MINUTE_MOST", 3)
    for _ in range(3):
        issue(operator, vm)

    with pytest.raises(TooMany):
        issue(operator, vm)
    assert issue(user_make("operator"), vm), "somebody else pays for it"


def test_many_consoles_at_once_are_too_many(operator: User, vm: Workload, monkeypatch: Any) -> None:
    """S48"""
    monkeypatch.setattr(consoles, "OPEN_MOST", 1)
    opening = ticket_use(operator, LOGIN, issue(operator, vm))
    with pytest.raises(TooMany):
        issue(operator, vm)

    console_ended(opening.pk, "The page was closed.")

    assert issue(operator, vm)


# -- the end


def test_an_end_is_noted_once(operator: User, vm: Workload) -> None:
    opening = ticket_use(operator, LOGIN, issue(operator, vm))

    assert console_ended(opening.pk, "The page was closed.")
    assert not console_ended(opening.pk, "The page was closed.")

    record = AuditRecord.objects.get(verb="console_end")
    assert record.detail["why"] == "The page was closed." and record.user == operator


def test_an_administrator_ends_a_console_and_is_named_for_it(operator: User, vm: Workload) -> None:
    """S59"""
    opening = ticket_use(operator, LOGIN, issue(operator, vm))
    console, boss = Console.objects.get(pk=opening.pk), user_make("administrator")

    with pytest.raises(Forbidden):
        console_end(operator, console)
    console_end(boss, console)

    record = AuditRecord.objects.get(verb="console_cut")
    assert record.user == boss and record.detail["of"] == operator.get_username()
    with pytest.raises(Refused):
        console_end(boss, console)


def test_the_sweep_ends_what_no_process_looks_after_and_drops_old_tickets(operator: User, vm: Workload) -> None:
    lost = ticket_use(operator, LOGIN, issue(operator, vm))
    watched = ticket_use(operator, LOGIN, issue(operator, vm))
    issue(operator, vm)
    Console.objects.filter(used_at=None).update(issued_at=timezone.now() - timedelta(hours=2))
    Console.objects.filter(pk=lost.pk).update(seen_at=timezone.now() - timedelta(minutes=1))

    assert consoles_sweep() == 1

    assert set(Console.objects.filter(ended_at=None).values_list("pk", flat=True)) == {watched.pk}
    assert AuditRecord.objects.filter(verb="console_end", detail__why="Its web process ended.").count() == 1
