"""hosts.lab.leftovers: only what is surely ours is ended."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from hosts.lab.leftovers import ProcessMark, ProcessRecord, start_ticks


def test_a_pid_that_was_given_to_another_process_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        ticks = start_ticks(other.pid)
        assert ticks is not None

        ProcessMark(other.pid, ticks - 1, "an earlier one").signal(signal.SIGKILL)

        assert other.poll() is None
        ProcessMark(other.pid, ticks, "itself").signal(signal.SIGKILL)
        assert other.wait(5) == -signal.SIGKILL


def test_a_zombie_counts_as_gone() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert start_ticks(child.pid) is None
    child.wait()


def test_a_task_is_recorded_once(tmp_path: Path) -> None:
    record = ProcessRecord(tmp_path / "processes.json")

    record.note(os.getpid(), "supervisor")
    record.note(os.getppid(), "supervisor")

    assert [(mark.pid, mark.what) for mark in record.read()] == [(os.getppid(), "supervisor")]


def test_a_damaged_record_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "processes.json").write_text('[{"pid": ')

    assert ProcessRecord(tmp_path / "processes.json").read() == []
