"""Makes the first login."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Makes the user admin with the password in FIRST_PASSWORD, unless a superuser exists already."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()._default_manager
        if users.filter(is_superuser=True).exists():
            self.stdout.write("exists")
            return
        # From the environment: an argument would stand in the process list.
        password = os.environ.get("FIRST_PASSWORD", "")
        if len(password) < 10:
            raise CommandError("Set FIRST_PASSWORD to a password of at least 10 characters.")
        users.create_superuser(username="admin", email="", password=password)  # type: ignore[attr-defined]
        self.stdout.write("created")
