from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.plane.redis_peer import RedisPeer


@pytest.fixture
def redis_peer(tmp_path: Path) -> Iterator[RedisPeer]:
    peer = RedisPeer(tmp_path)
    peer.start()
    yield peer
    peer.kill()
