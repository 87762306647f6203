from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datacenter.run.pids import PidBook, process_end, process_now


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def test_a_recorded_process_is_found_again(tmp_path: Path, sleeper: subprocess.Popen[bytes]):
    PidBook(tmp_path).record("redis", sleeper.pid)

    assert PidBook(tmp_path).running()["redis"].pid == sleeper.pid


def test_another_process_with_the_same_pid_is_never_taken_for_ours(tmp_path: Path):
    book = PidBook(tmp_path)
    book.record("redis", os.getpid())
    record = tmp_path / "redis.json"
    ours = process_now(os.getpid())
    assert ours is not None
    record.write_text(record.read_text().replace(str(ours.started_ticks), str(ours.started_ticks - 1)))

    assert book.running() == {}
    assert not record.exists()


def test_a_record_that_a_power_cut_left_empty_is_dropped(tmp_path: Path):
    (tmp_path / "web.json").write_text("")

    assert PidBook(tmp_path).running() == {}


def test_a_process_that_ignores_the_request_is_killed():
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; echo ready; sleep 60 & wait; sleep 60"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    process = process_now(child.pid)
    assert process is not None

    assert process_end(process, patience_s=0.2)
    assert child.wait() == -9


def test_ending_a_process_that_is_gone_ends_nobody_else():
    ours = process_now(os.getpid())
    assert ours is not None

    assert process_end(dataclasses.replace(ours, started_ticks=1), patience_s=0.1)
