"""What every test stands on.

No unit test reaches a broker, a store or the data of a Stowage that runs here. Lab and browser tests share
one real stack (`stack`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as django_settings

from datacenter.celery import app
from tests.stack import Stack, stack_run

# Before anything reads them: a checkout where `make up` ran has the real addresses in .stowage/env.
django_settings.REDIS_URL = "memory://"
django_settings.PLANE_BROKER_URL = "memory://"
django_settings.METRICS_URL = django_settings.METRICS_LONG_URL = "http://127.0.0.1:9"  # nobody listens there
app.conf.broker_url = "memory://"  # it was made with the first address already

_TESTS = Path(__file__).resolve().parent
_TRIALS = {_TESTS / "test_sagas.py", _TESTS / "datacenter" / "planner" / "test_properties.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies in tests/lab, browser and guest, so that none of it runs as a unit test by oversight."""
    for item in items:
        for folder in ("lab", "browser", "guest"):
            if (_TESTS / folder) in item.path.parents and item.get_closest_marker("fault") is None:
                item.add_marker(folder)
        if item.path in _TRIALS:
            item.add_marker("trial")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Leaves the numbers for the table of `python -m tests.run`."""
    if path := os.environ.get("STOWAGE_TEST_SUMMARY"):
        kinds = ("passed", "failed", "error", "skipped")
        counts = [(len(terminalreporter.getreports(kind)), kind) for kind in kinds]
        Path(path).write_text(", ".join(f"{count} {kind}" for count, kind in counts if count))


@pytest.fixture(autouse=True)
def data_of_its_own(settings, tmp_path: Path) -> None:
    """Files that a test writes end with the test."""
    settings.DATA_DIR = tmp_path
    settings.IMAGE_DIR = tmp_path / "images"
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(autouse=True, scope="session")
def messages_stay_here() -> None:
    """Messages sent by a test lie in this process's memory, where no worker takes them."""
    assert app.conf.broker_url == current_app.conf.broker_url == "memory://"


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Stowage with a lab, started once for the whole run; STOWAGE_TEST_LAB gives another number of hosts than 4."""
    if os.geteuid() != 0:
        pytest.fail("The lab needs root: run `make test`, or `make test-unit` for what needs none.")
    with stack_run(int(os.environ.get("STOWAGE_TEST_LAB", "4"))) as running:
        yield running
