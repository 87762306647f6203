from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from datacenter.run.parts import ports_pick
from datacenter.run.ports import port_is_free, port_pick


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        yield holder.getsockname()[1]


def test_a_busy_port_is_passed_over(busy_port: int):
    assert not port_is_free(busy_port)
    assert port_pick(busy_port, set()) > busy_port


def test_two_parts_never_get_the_same_port():
    taken: set[int] = set()

    first, second = port_pick(18400, taken), port_pick(18400, taken)

    assert first != second
    assert taken == {first, second}


def test_a_part_given_by_url_gets_no_port():
    ports = ports_pick(18500, {"REDIS_URL": "redis://elsewhere"})

    assert ports.redis is None
    assert ports.metrics_raw is not None
