"""Planes for the tests of workload effects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workloads.effects.planes import Planes


@pytest.fixture
def planes(tmp_path: Path) -> Planes:
    return Planes(tmp_path)
