from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from datacenter.management.commands.first_login import first_login
from hosts.access import may

pytestmark = pytest.mark.django_db


def test_the_first_password_is_shown_again_until_it_is_changed(tmp_path: Path):
    kept = tmp_path / "first-login"

    first = first_login(kept)

    assert first_login(kept) == first
    assert get_user_model().objects.get().check_password(first)
    assert may(get_user_model().objects.get(), "administer")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_changed_password_is_never_shown_and_the_old_one_is_forgotten(tmp_path: Path):
    kept = tmp_path / "first-login"
    first_login(kept)
    admin = get_user_model().objects.get()
    admin.set_password("chosen by a person")
    admin.save()

    assert first_login(kept) is None
    assert not kept.exists()


def test_a_crash_before_the_user_was_made_keeps_the_password(tmp_path: Path):
    kept = tmp_path / "first-login"
    first = first_login(kept)
    get_user_model().objects.all().delete()

    assert first_login(kept) == first
