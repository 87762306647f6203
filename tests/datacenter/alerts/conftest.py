"""A real VictoriaMetrics, and receivers that really listen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.datacenter.alerts.receivers import MailSink, WebReceiver, mail_sink, web_receiver
from tests.datacenter.metrics.test_store import store

__all__ = ["mail", "store", "web"]


@pytest.fixture
def web() -> Iterator[WebReceiver]:
    with web_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with mail_sink() as sink:
        yield sink
