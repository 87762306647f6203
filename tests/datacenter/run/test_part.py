from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datacenter.run.layout import CHECKOUT, Layout
from datacenter.run.part import Part, PartSpec, child_environment, log_open
from datacenter.run.pids import PidBook, process_now
from datacenter.run.service_user import ServiceUser


def shell(script: str, patience_s: float = 5.0) -> PartSpec:
    return PartSpec("sample", ("sh", "-c", script), patience_s=patience_s)


def part_of(spec: PartSpec, layout: Layout, user: ServiceUser) -> Part:
    return Part(spec, user, layout, PidBook(layout.run))


def ended(part: Part) -> None:
    part.ask_to_end()
    part.end(time.monotonic() + part.spec.patience_s)


def test_a_part_that_dies_is_started_again_after_a_pause(layout: Layout, user: ServiceUser):
    part = part_of(shell("echo it broke; exit 3"), layout, user)
    part.start()
    assert part._child is not None
    part._child.wait()
    now = time.monotonic()

    sentence = part.tend(now)
    part.tend(now + 1.1)

    assert sentence is not None and "exit status 3" in sentence and "it broke" in sentence
    assert part.pid is not None
    ended(part)


def test_the_pause_grows_while_a_part_keeps_dying(layout: Layout, user: ServiceUser):
    part = part_of(shell("exit 1"), layout, user)
    part.start()
    pauses = []

    for _ in range(3):
        assert part._child is not None
        part._child.wait()
        now = time.monotonic()
        part.tend(now)
        pauses.append(part._pause_s)
        part.tend(now + part._pause_s)

    assert pauses == [1.0, 2.0, 4.0]
    ended(part)


def test_a_part_that_is_asked_to_end_is_not_started_again(layout: Layout, user: ServiceUser):
    part = part_of(shell("sleep 60"), layout, user)
    part.start()

    ended(part)

    assert part.tend(time.monotonic() + 100) is None
    assert part.pid is None
    assert PidBook(layout.run).running() == {}


def test_a_part_that_will_not_end_is_killed(layout: Layout, user: ServiceUser):
    part = part_of(shell("trap '' TERM; while :; do sleep 0.05; done", patience_s=0.3), layout, user)
    part.start()
    time.sleep(0.2)

    part.ask_to_end()

    assert part.end(time.monotonic() + 0.3)


def test_a_child_dies_with_a_supervisor_that_was_killed(tmp_path: Path):
    program = (
        "import os, sys, subprocess, time\n"
        "from datacenter.run.part import dies_with\n"
        "child = subprocess.Popen(['sleep', '60'], preexec_fn=dies_with(os.getpid()), start_new_session=True)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    child_pid = int(supervisor.stdout.readline())

    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()

    until = time.monotonic() + 5
    while process_now(child_pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert process_now(child_pid) is None


def test_a_large_log_makes_room_for_a_new_one(tmp_path: Path, user: ServiceUser):
    log = tmp_path / "web.log"
    log.write_bytes(b"x" * (5 * 1024 * 1024 + 1))

    os.close(log_open(log, user))

    assert log.stat().st_size == 0
    assert (tmp_path / "web.log.1").stat().st_size > 5 * 1024 * 1024


@pytest.mark.parametrize("name", ["SUDO_UID", "SUDO_COMMAND"])
def test_parts_do_not_learn_who_called_sudo(name: str, layout: Layout):
    environment = child_environment({name: "0", "HOME": "/root", "PATH": "/bin"}, shell("true"), layout)

    assert name not in environment
    assert environment["HOME"] == str(layout.data_dir)
