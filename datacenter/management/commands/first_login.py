"""`manage.py first_login`: makes the first administrator, and tells the generated password while it is valid."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

FIRST_USER = "admin"


class Command(BaseCommand):
    help = "Makes the first administrator if there is none; prints its generated password until it is changed."

    def handle(self, *args: Any, **options: Any) -> None:
        password = first_login(settings.DATA_DIR / "first-login")
        if password is not None:
            self.stdout.write(password)


def first_login(kept: Path) -> str | None:
    """The first administrator's generated password; None once it was changed.

    The password is kept in a file before the user is made, so that a crash in between loses neither.
    """
    users = get_user_model().objects
    if not users.filter(is_superuser=True).exists():
        password = _password_kept(kept) or _password_keep(kept)
        users.create_superuser(FIRST_USER, password=password)
        return password
    password = _password_kept(kept)
    if password is None:
        return None
    user = users.filter(username=FIRST_USER, is_active=True).first()
    if user is not None and user.check_password(password):
        return password
    kept.unlink()
    return None


def _password_kept(kept: Path) -> str | None:
    try:
        return kept.read_text().strip() or None
    except FileNotFoundError:
        return None


def _password_keep(kept: Path) -> str:
    password = secrets.token_urlsafe(12)
    with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
        opened.write(password + "\n")
    return password
