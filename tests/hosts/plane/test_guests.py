"""Guests are asked gently, and one that hangs costs the others nothing."""

from __future__ import annotations

import threading
import time
from typing import Any

from hosts.drivers.base import ObservedWorkload
from hosts.errors import TimedOut
from hosts.guest import AWAY, CONNECTED, SILENT
from hosts.plane.guests import AFTER_SILENCE_S, EVERY_S, THREADS, Guests


def vm(uuid: str, agent: str = CONNECTED) -> ObservedWorkload:
    return ObservedWorkload("vm", uuid, uuid, "running", "running", 1.0, 128, agent=agent)


class Asked:
    """An agent's answers; notes who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_silent = False

    def __call__(self, uuid: str) -> dict[str, Any]:
        self.asked.append(uuid)
        if self.is_silent:
            raise TimedOut("The guest's agent does not answer.")
        return {"hostname": uuid}


def guests(ask: Any, now: list[float]) -> Guests:
    return Guests(ask, lambda: None, clock=lambda: 1700.0, now=lambda: now[0])


def test_a_connected_guest_is_asked_at_once_and_then_each_minute():
    ask, now = Asked(), [0.0]
    known = guests(ask, now)
    (before,) = known.told([vm("a")])
    assert before.guest is None
    assert known.ask_next() and not known.ask_next()

    (after,) = known.told([vm("a")])

    assert after.guest == {"hostname": "a", "told_at_s": 1700} and after.agent == CONNECTED
    now[0] = EVERY_S - 1
    assert not known.ask_next()
    now[0] = EVERY_S
    assert known.ask_next() and ask.asked == ["a", "a"]


def test_nobody_is_asked_without_an_agent_and_one_that_comes_back_at_once():
    ask, now = Asked(), [0.0]
    known = guests(ask, now)
    known.told([vm("a", AWAY), vm("b", "")])
    assert not known.ask_next()
    known.told([vm("a")])
    assert known.ask_next()
    (away,) = known.told([vm("a", AWAY)])
    assert (away.agent, away.guest) == (AWAY, None)
    known.told([vm("a")])
    assert known.ask_next() and ask.asked == ["a", "a"]


def test_a_silent_one_keeps_its_last_word_and_is_left_alone_for_a_while():
    ask, now = Asked(), [0.0]
    known = guests(ask, now)
    known.told([vm("a")])
    known.ask_next()
    ask.is_silent, now[0] = True, EVERY_S
    known.ask_next()

    (silent,) = known.told([vm("a")])

    assert silent.agent == SILENT and silent.guest is not None and silent.guest["hostname"] == "a"
    now[0] = EVERY_S + AFTER_SILENCE_S - 1
    assert not known.ask_next()


def test_hung_guests_hold_up_nobody_who_looks():
    hold = threading.Event()
    stop = threading.Event()
    asked: list[str] = []

    def hang(uuid: str) -> dict[str, Any]:
        asked.append(uuid)
        hold.wait(20)
        raise TimedOut("The guest's agent does not answer.")

    known = Guests(hang, lambda: None)
    runner = threading.Thread(target=known.run, args=(stop,), daemon=True)
    known.told([vm(str(n)) for n in range(50)])
    runner.start()
    try:
        until = time.monotonic() + 5
        while len(asked) < THREADS and time.monotonic() < until:
            time.sleep(0.01)
        began = time.monotonic()
        assert len(known.told([vm(str(n)) for n in range(50)])) == 50
        assert time.monotonic() - began < 0.5
        assert len(asked) == THREADS
    finally:
        stop.set()
        hold.set()
        runner.join(10)
