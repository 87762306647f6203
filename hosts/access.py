"""Who may do what: the one question that views, API, consumers and admin ask.

Three roles are groups of Django's: viewer, operator, administrator; each may do what the one before may.
A superuser is an administrator. Somebody without a group may nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

Verb = Literal["view", "operate", "administer"]

NOT_AN_OPERATOR = "Your role only allows looking. Ask an administrator for the role of operator."
ROLES = ("viewer", "operator", "administrator")
_ROLE_OF_VERB: dict[Verb, int] = {"view": 0, "operate": 1, "administer": 2}


def role_of(user: AbstractBaseUser | AnonymousUser) -> str | None:
    """The strongest role of the user, None where there is none. One query, kept on the user object."""
    if not user.is_authenticated or not user.is_active:
        return None
    if getattr(user, "is_superuser", False):
        return "administrator"
    cached = getattr(user, "_stowage_role", "?")
    if cached == "?":
        names = {group.name for group in user.groups.all()}  # type: ignore[union-attr]  # by prefetch where there is one
        cached = next((role for role in reversed(ROLES) if role in names), None)
        user._stowage_role = cached  # type: ignore[union-attr]
    return cached


def may(user: AbstractBaseUser | AnonymousUser, verb: Verb, thing: Any = None) -> bool:
    """Whether the user may do the verb to the thing.

    `thing` is a model object, or None for a whole collection. Today roles count for every thing alike; the
    argument is here so that ownership and projects change this function only.
    """
    role = role_of(user)
    return role is not None and ROLES.index(role) >= _ROLE_OF_VERB[verb]
