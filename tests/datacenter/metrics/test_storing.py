from __future__ import annotations

from datacenter.metrics import storing as module
from datacenter.metrics.storing import Storing
from hosts.errors import Unreachable


class Store:
    """A store that keeps bodies, or is away."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.is_away = False

    def write(self, body: bytes) -> None:
        if self.is_away:
            raise Unreachable("The metrics store does not answer.")
        self.bodies.append(body)


def test_samples_wait_while_the_store_is_away_and_the_oldest_go_first_and_are_counted() -> None:
    store = Store()
    store.is_away = True
    storing = Storing(store.write, most=4)
    for number in range(1, 5):
        storing.put([f"a {number}\n", f"b {number}\n"], {"stream": str(number)})
        assert not storing.flush()
    assert (storing.unsent, storing.dropped, storing.position) == (4, 4, {"stream": "2"})

    store.is_away = False
    assert storing.flush()

    assert b"".join(store.bodies) == b"a 3\nb 3\na 4\nb 4\n"
    assert (storing.unsent, storing.stored, storing.position) == (0, 4, {"stream": "4"})


def test_a_position_without_samples_passes_in_its_turn() -> None:
    store = Store()
    storing = Storing(store.write)
    storing.put(["a 1\n"], {"stream": "1"})
    storing.put([], {"stream": "2"})
    assert storing.position == {}

    storing.flush()

    assert storing.position == {"stream": "2"}
    assert store.bodies == [b"a 1\n"]


def test_what_waited_for_long_goes_in_requests_of_bounded_size(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(module, "BODY_BYTES", 10)
    store = Store()
    storing = Storing(store.write)
    for _ in range(4):
        storing.put(["123456\n"], {})

    storing.flush()

    assert len(store.bodies) == 4
