from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hosts.drivers.base import ObservedWorkload, WorkloadCounters
from hosts.errors import Unreachable
from hosts.plane import half as half_module
from hosts.plane.half import Half, HalfDriver

VM = ObservedWorkload("vm", "vm-1", "web", "running", "running", 1.0, 128)


class Daemon:
    """A daemon under the test's hand: it answers, fails, or hangs until `thaw`."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.thawed = threading.Event()
        self.thawed.set()
        self.tell: Callable[[str], None] | None = None
        self.watches_open = 0
        self.reads = 0
        self.counts = 0

    def workloads(self) -> list[ObservedWorkload]:
        self.thawed.wait(20)
        self.reads += 1
        if self.failure:
            raise self.failure
        return [VM]

    def counters(self) -> list[WorkloadCounters]:
        self.counts += 1
        return []

    def watch(self, on_change: Callable[[str], None]) -> Daemon:
        self.tell = on_change
        self.watches_open += 1
        return self

    def close(self) -> None:
        self.watches_open -= 1


class Bench:
    def __init__(self) -> None:
        self.daemon = Daemon()
        self.told = threading.Event()
        driver = HalfDriver("hypervisor", self.daemon.workloads, self.daemon.counters, self.daemon.watch)
        self.half = Half(driver, self.told.set, debounce_s=0.05)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.half.run, args=(self.stop,), daemon=True)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    bench.thread.start()
    yield bench
    bench.daemon.thawed.set()
    bench.stop.set()
    bench.thread.join(5)


def test_a_half_is_unknown_until_it_was_read() -> None:
    state = Bench().half.state()

    assert not state.ok
    assert state.sentence == "The hypervisor has not been read yet."


def test_asking_gives_a_reading_made_after_the_question(bench: Bench) -> None:
    first = bench.half.read_within(5)
    asked_at = time.time()
    second = bench.half.read_within(5)

    assert first.ok and first.reading.workloads == [VM]
    assert second.reading.number == first.reading.number + 1
    assert first.reading.began_at <= asked_at <= second.reading.began_at


def test_an_event_is_read_soon_and_told(bench: Bench) -> None:
    bench.half.read_within(5)
    bench.told.clear()
    reads = bench.daemon.reads
    assert bench.daemon.tell is not None

    for _ in range(5):
        bench.daemon.tell("vm-1")

    assert bench.told.wait(5)
    assert bench.daemon.reads == reads + 1  # a burst of events is one reading


def test_counting_asks_for_no_description_and_looking_for_no_count(bench: Bench) -> None:
    bench.half.read_within(5)
    reads, counts = bench.daemon.reads, bench.daemon.counts

    counted = bench.half.read_within(5, look=False)
    assert (bench.daemon.reads, bench.daemon.counts) == (reads, counts + 1)
    assert counted.reading.workloads == [VM]

    looked = bench.half.read_within(5, count=False)
    assert (bench.daemon.reads, bench.daemon.counts) == (reads + 1, counts + 1)
    assert looked.reading.number == counted.reading.number


def test_a_failing_daemon_is_not_ok_says_why_and_keeps_the_last_reading(bench: Bench) -> None:
    bench.half.read_within(5)
    bench.daemon.failure = Unreachable("The hypervisor cannot be reached.")

    state = bench.half.read_within(5)

    assert (state.ok, state.sentence) == (False, "The hypervisor cannot be reached.")
    assert state.reading.workloads == [VM]
    assert bench.daemon.watches_open == 0


def test_a_drivers_mistake_does_not_end_the_half(bench: Bench) -> None:
    bench.daemon.failure = KeyError("surprise")
    broken = bench.half.read_within(5)
    bench.daemon.failure = None

    assert broken.sentence == "The hypervisor could not be read: KeyError."
    assert bench.half.read_within(5).ok


def test_a_frozen_daemon_costs_the_asker_no_more_than_its_patience(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(half_module, "OVERDUE_S", 0.1)
    bench.half.read_within(5)
    bench.daemon.thawed.clear()

    state = bench.half.read_within(0.3)

    assert not state.ok
    assert "has not answered for" in state.sentence
    bench.daemon.thawed.set()
    assert bench.half.read_within(5).ok


def test_a_lost_connection_is_watched_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_module, "WATCH_RETRY_S", 0.0)
    bench.half.read_within(5)
    first_tell = bench.daemon.tell
    assert first_tell is not None

    bench.told.clear()
    first_tell("")
    assert bench.told.wait(5)

    assert bench.daemon.watches_open == 1
