"""A VictoriaMetrics of a test's own, where the package is installed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from datacenter.metrics.store import MetricsStore
from hosts.errors import Unreachable

PROGRAM = shutil.which("victoria-metrics")
needs_store = pytest.mark.skipif(PROGRAM is None, reason="victoria-metrics is not installed")


@contextmanager
def running_store(data: Path, retention: str = "30d") -> Iterator[tuple[str, MetricsStore]]:
    """Its URL and a client; it ends with the block."""
    assert PROGRAM is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = [f"-retentionPeriod={retention}", "-search.latencyOffset=0s", "-search.cacheTimestampOffset=1h"]
    process = subprocess.Popen(
        [PROGRAM, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={data}", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        client = MetricsStore(f"http://127.0.0.1:{port}", timeout_s=30)
        _until_it_answers(client)
        yield f"http://127.0.0.1:{port}", client
        client.close()
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(client: MetricsStore) -> None:
    until = time.monotonic() + 15
    while True:
        try:
            client.query("1")
            return
        except Unreachable:
            assert time.monotonic() < until, "VictoriaMetrics did not start"
            time.sleep(0.05)


def make_searchable(store: MetricsStore) -> None:
    """Fresh samples are otherwise searchable some seconds after they were written; old ones may be cached as absent."""
    store._client.get("/internal/force_flush").raise_for_status()
    store._client.get("/internal/resetRollupResultCache").raise_for_status()
