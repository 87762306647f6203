"""What tests of this floor share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection

from tests.datacenter.threads import Threads


@pytest.fixture
def database_for_threads(tmp_path: Path, db: None) -> Iterator[Threads]:
    """A database file with the test database's tables and what the migrations put there."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's threads need no file of their own; its test database may be shared")
    file = tmp_path / "threads.sqlite3"
    connection.ensure_connection()
    # not backup(): it waits for ever for the test's own transaction
    with closing(sqlite3.connect(file)) as copy:
        copy.executescript("\n".join(connection.connection.iterdump()))
    settings = connection.settings_dict  # new connections are made from this dictionary
    name, options = settings["NAME"], settings["OPTIONS"]
    settings["NAME"], settings["OPTIONS"] = str(file), {**options, "timeout": 60}
    try:
        yield Threads()
    finally:
        settings["NAME"], settings["OPTIONS"] = name, options
