"""A layout in a temporary folder, and the user who runs the tests as its service user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datacenter.run.layout import Layout, layout_make
from datacenter.run.service_user import ServiceUser


@pytest.fixture
def user() -> ServiceUser:
    return ServiceUser("tester", os.getuid(), os.getgid(), switch=False)


@pytest.fixture
def layout(tmp_path: Path, user: ServiceUser) -> Layout:
    return layout_make(tmp_path / "data", user)
