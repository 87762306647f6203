from __future__ import annotations

import os
import signal

import pytest

from datacenter.run.layout import Layout
from datacenter.run.part import PartSpec
from datacenter.run.pids import PidBook
from datacenter.run.service_user import ServiceUser
from datacenter.run.supervisor import StopAsked, Supervisor
from hosts.errors import Refused


@pytest.fixture
def supervisor(layout: Layout, user: ServiceUser) -> Supervisor:
    return Supervisor(layout, user)


def test_parts_are_stopped_from_the_last_wave_to_the_first(supervisor: Supervisor, layout: Layout):
    notes = layout.data_dir / "ended"
    for name, wave in (("store", 0), ("web", 1), ("lab", 2)):
        script = (
            f"trap 'echo {name} >> {notes}; exit 0' TERM; : > {layout.data_dir}/{name}.up; while :; do sleep 0.02; done"
        )
        part = supervisor.start(PartSpec(name, ("sh", "-c", script), wave=wave))
        supervisor.wait_for(part, (layout.data_dir / f"{name}.up").exists, 5)

    supervisor.stop()

    assert notes.read_text().split() == ["lab", "web", "store"]
    assert PidBook(layout.run).running() == {}


def test_a_part_that_never_answers_is_named_with_its_last_words(supervisor: Supervisor):
    part = supervisor.start(PartSpec("redis", ("sh", "-c", "echo no memory; sleep 60")))

    with pytest.raises(Refused, match=r"(?s)redis does not come up.*no memory"):
        supervisor.wait_for(part, lambda: False, 0.4)

    supervisor.stop()


def test_a_missing_program_is_a_sentence(supervisor: Supervisor):
    with pytest.raises(Refused, match="no-such-program is missing"):
        supervisor.start(PartSpec("redis", ("no-such-program",)))


def test_a_signal_ends_the_waiting(supervisor: Supervisor):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    supervisor.catch_signals()
    try:
        os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(StopAsked):
            supervisor.tend()
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), before, strict=True):
            signal.signal(number, handler)
