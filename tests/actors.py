"""The people who knock at the doors: one of each role, somebody without any, and nobody."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from hosts.access import ROLES
from tests.factories import user_make

ANONYMOUS, STRANGER = "anonymous", "stranger"
ACTORS = (ANONYMOUS, STRANGER, *ROLES)
# what each actor may do, by hosts.access
VERBS_OF: dict[str, frozenset[str]] = {
    ANONYMOUS: frozenset(),
    STRANGER: frozenset(),
    "viewer": frozenset({"view"}),
    "operator": frozenset({"view", "operate"}),
    "administrator": frozenset({"view", "operate", "administer"}),
}


def user_of(actor: str) -> User | AnonymousUser:
    """The actor as a user; made anew at each call."""
    if actor == ANONYMOUS:
        return AnonymousUser()
    return user_make(None if actor == STRANGER else actor)


def client_of(actor: str, *, csrf: bool = False) -> Client:
    """A browser in which the actor is logged in; with `csrf` it is asked for the token as a real one is."""
    client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
    user = user_of(actor)
    if isinstance(user, User):
        client.force_login(user)
    return client
