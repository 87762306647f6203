from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.plane.state_file import StateFile

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.sqlite3", durable=False)


def finished(state: StateFile, key: str, attempt: int = 1) -> str:
    state.step_started(key, attempt)
    return state.step_finished(key, "done", {"attempt": attempt, "key": key})[0]


def test_a_report_is_unsent_until_it_is_marked_sent(state: StateFile) -> None:
    ticket = finished(state, "op:step:do")

    assert [unsent.report["key"] for unsent in state.reports_unsent()] == ["op:step:do"]
    state.report_sent(ticket)
    assert state.reports_unsent() == []


def test_marking_an_older_attempt_sent_leaves_the_newer_unsent(state: StateFile) -> None:
    old = finished(state, "op:step:do", attempt=1)
    finished(state, "op:step:do", attempt=2)

    state.report_sent(old)

    assert [unsent.report["attempt"] for unsent in state.reports_unsent()] == [2]


def test_refusals_are_unsent_reports_too(state: StateFile) -> None:
    ticket = state.refusal_add({"state": "refused"})

    assert state.reports_unsent()[0].report == {"state": "refused"}
    state.report_sent(ticket)
    assert state.reports_unsent() == []


def test_young_reports_are_left_to_their_lane(tmp_path: Path) -> None:
    now = [100.0]
    state = StateFile(tmp_path / "state", clock=lambda: now[0], durable=False)
    finished(state, "op:step:do")

    assert state.reports_unsent(older_than_s=3) == []
    now[0] += 3.5
    assert len(state.reports_unsent(older_than_s=3)) == 1


def test_a_generation_seen_before_is_accepted_again_and_an_older_one_is_not(state: StateFile) -> None:
    assert state.generation_accept("vm-1", 5)
    assert state.generation_accept("vm-1", 5)
    assert not state.generation_accept("vm-1", 4)
    assert state.generation_highest("vm-1") == 5


def test_pruning_forgets_old_sent_steps_and_keeps_unsent_ones_and_generations(tmp_path: Path) -> None:
    now = [100.0]
    state = StateFile(tmp_path / "state", clock=lambda: now[0], durable=False)
    state.report_sent(finished(state, "sent:step:do"))
    finished(state, "unsent:step:do")
    state.generation_accept("vm-1", 5)
    state.abort_request("op", "step")

    now[0] += 1000
    state.prune(older_than_s=500)

    assert state.step("sent:step:do") is None
    assert state.step("unsent:step:do") is not None
    assert state.generation_highest("vm-1") == 5
    assert not state.is_aborted("op", "step")


def test_an_abort_of_the_whole_operation_counts_for_each_step(state: StateFile) -> None:
    state.abort_request("op", "")

    assert state.is_aborted("op", "any step")
    assert not state.is_aborted("other", "any step")


def test_only_its_owner_may_read_the_file(state: StateFile) -> None:
    assert state.path.stat().st_mode & 0o077 == 0


def test_four_processes_opening_and_counting_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"  # not there yet: they race for making it too
    program = (
        "import json, sys; from hosts.plane.state_file import StateFile\n"
        "state = StateFile(sys.argv[1], durable=False)\n"
        "print(json.dumps([state.sequence_next('n') for _ in range(100)]))\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, cwd=ROOT) for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60)[0] for process in processes]

    numbers = [number for output in outputs for number in json.loads(output)]
    assert sorted(numbers) == list(range(1, 401))


def test_what_another_process_wrote_is_seen(state: StateFile) -> None:
    program = (
        "import sys; from hosts.plane.state_file import StateFile\nStateFile(sys.argv[1]).abort_request('op', 'step')\n"
    )
    subprocess.run([sys.executable, "-c", program, str(state.path)], check=True, cwd=ROOT, timeout=30)

    assert state.is_aborted("op", "step")
