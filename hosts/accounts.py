"""The account behind whoever asks."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


def account_of(user: AbstractBaseUser | AnonymousUser | None) -> User | None:
    """The account to note down as owner or requester; None for the system and for anybody not logged in."""
    return user if isinstance(user, User) and user.is_authenticated else None
