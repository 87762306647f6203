"""What every test stands on: no unit test reaches a broker, a store or the data of a Stowage that runs here."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings as django_settings

from datacenter.celery import app

# Before anything reads them: a checkout where `make up` ran has the real addresses in .stowage/env.
django_settings.REDIS_URL = "memory://"
django_settings.PLANE_BROKER_URL = "memory://"
django_settings.METRICS_URL = django_settings.METRICS_LONG_URL = "http://127.0.0.1:9"  # nobody listens there
app.conf.broker_url = "memory://"  # it was made with the first address already


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
