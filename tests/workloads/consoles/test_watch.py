"""What the watch finds out about open consoles."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hosts.models import Host, Plane
from tests.factories import container_make, host_make, user_make, vm_make
from workloads.consoles.watch import ENDED, FORBIDDEN, GONE, LOGGED_OUT, Ending, Facts, Looker, Subject
from workloads.models import Workload
from workloads.services.consoles import console_ended, ticket_issue, ticket_use

pytestmark = pytest.mark.django_db


class Someone:
    """Somebody logged in, with consoles."""

    def __init__(self, role: str = "operator") -> None:
        self.user = user_make(role)
        self.client = Client()
        self.client.force_login(self.user)
        self.key = str(self.client.session.session_key)

    def opens(self, thing: Workload | Host, kind: str = "serial", view_only: bool = False) -> Subject:
        secret = ticket_issue(self.user, self.key, kind=kind, thing=thing.pk, view_only=view_only)
        opening = ticket_use(self.user, self.key, secret)
        return Subject(opening.pk, kind, thing.pk, thing.name, view_only, self.key)


@pytest.fixture
def host() -> Host:
    host = host_make(is_shell_enabled=True)
    Plane.objects.create(kind="host", name=host.name, token_sha256="k" * 64)
    return host


def found(subject: Subject) -> Facts | Ending:
    return Looker().look([subject])[subject.pk]


def test_a_console_in_order_is_told_where_its_thing_is(host: Host) -> None:
    vm = vm_make(host, generation=4)

    facts = found(Someone().opens(vm))

    assert isinstance(facts, Facts) and facts.place is not None
    assert (facts.name, facts.state, facts.generation, facts.host) == (vm.name, "running", 4, host.name)
    assert (facts.place.address, facts.place.port, facts.place.key) == ("10.77.0.2", 7777, "k" * 64)


def test_a_logout_ends_it(host: Host) -> None:
    """S21"""
    someone = Someone()
    subject = someone.opens(vm_make(host))

    someone.client.logout()

    assert found(subject) == Ending(LOGGED_OUT, "You were logged out.")


@pytest.mark.parametrize("loss", ["password", "account", "removed"])
def test_the_end_of_a_login_in_any_way_ends_it(host: Host, loss: str) -> None:
    someone = Someone()
    subject = someone.opens(vm_make(host))
    if loss == "password":
        someone.user.set_password("another")
        someone.user.save()
    elif loss == "account":
        User.objects.filter(pk=someone.user.pk).update(is_active=False)
    else:
        someone.user.delete()

    ending = found(subject)

    assert isinstance(ending, Ending) and ending.code == LOGGED_OUT


def test_a_lost_role_ends_it(host: Host) -> None:
    """S13"""
    someone = Someone()
    subject = someone.opens(vm_make(host))
    looking = someone.opens(vm_make(host), view_only=True)

    someone.user.groups.set([Group.objects.get(name="viewer")])

    assert isinstance(found(looking), Facts), "a viewer may go on looking"
    ending = found(subject)
    assert isinstance(ending, Ending) and ending.code == FORBIDDEN


def test_a_removed_thing_ends_it(host: Host) -> None:
    vm = vm_make(host)
    subject = Someone().opens(vm)

    vm.delete()

    ending = found(subject)
    assert isinstance(ending, Ending) and ending.code == GONE


def test_a_shell_ends_when_its_host_no_longer_allows_it(host: Host) -> None:
    subject = Someone("administrator").opens(host, "shell")
    assert isinstance(found(subject), Facts)

    Host.objects.filter(pk=host.pk).update(is_shell_enabled=False)

    ending = found(subject)
    assert isinstance(ending, Ending) and ending.code == FORBIDDEN


def test_a_console_that_was_ended_elsewhere_ends_here(host: Host) -> None:
    subject = Someone().opens(vm_make(host))

    console_ended(subject.pk, "ann ended this console.")

    assert found(subject) == Ending(ENDED, "ann ended this console.")


def test_a_move_is_seen(host: Host) -> None:
    vm = vm_make(host)
    subject = Someone().opens(vm)
    other = host_make(console_address="10.77.0.9")
    Plane.objects.create(kind="host", name=other.name, token_sha256="o" * 64)

    Workload.objects.filter(pk=vm.pk).update(host=other, generation=7)

    facts = found(subject)
    assert isinstance(facts, Facts) and facts.place is not None
    assert (facts.host, facts.generation, facts.place.address) == (other.name, 7, "10.77.0.9")


def test_a_host_that_tells_of_no_gateway_has_no_place(host: Host) -> None:
    subject = Someone().opens(vm_make(host))
    Host.objects.filter(pk=host.pk).update(console_address="")

    facts = found(subject)

    assert isinstance(facts, Facts) and facts.place is None


def test_the_questions_do_not_grow_with_the_consoles(host: Host) -> None:
    people = [Someone() for _ in range(3)] + [Someone("administrator")]
    subjects = [one.opens(vm_make(host)) for one in people] + [
        one.opens(container_make(host), "exec") for one in people
    ]
    subjects.append(people[-1].opens(host, "shell"))

    def asked(of: list[Subject]) -> int:
        looker = Looker()
        with CaptureQueriesContext(connection) as caught:
            looker.look(of)
        return len(caught)

    assert asked(subjects) == asked(subjects[-1:] + subjects[:1]) <= 8


def test_a_login_that_was_never_there_stands_for_nobody(host: Host) -> None:
    subject = Someone().opens(vm_make(host))
    stranger: Any = Subject(subject.pk, "serial", subject.thing_id, "x", False, uuid.uuid4().hex)

    ending = found(stranger)

    assert isinstance(ending, Ending) and ending.code == LOGGED_OUT
