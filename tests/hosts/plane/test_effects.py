from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.errors import Unreachable
from hosts.plane import effects
from hosts.plane.context import ListSink, PlaneContext, context_for_trial
from hosts.plane.effects import abort, effect, execute
from hosts.plane.progress import Progress
from tests.hosts.plane.commands import NOW, command

Data = dict[str, Any]


class Verb:
    """An effect under the test's hand: it counts its runs, and blocks while `gate` is closed."""

    def __init__(self) -> None:
        self.runs = 0
        self.most_at_once = 0
        self._at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.failure: Exception | None = None
        self.was_aborted = threading.Event()

    def __call__(self, context: PlaneContext, arguments: Data, progress: Progress) -> Data:
        self.runs += 1
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        self.started.set()
        try:
            with progress.on_abort(self.was_aborted.set):
                while not self.gate.wait(0.02):
                    progress.check()
            if self.failure:
                raise self.failure
            return {"runs": self.runs}
        finally:
            self._at_once -= 1


@pytest.fixture
def verb() -> Iterator[Verb]:
    known = dict(effects._registry)
    verb = Verb()
    effect("test.do", lane="short")(verb)
    effect("test.create", lane="short", brings_work=True)(verb)
    effect("test.read", lane="short", is_exclusive=False)(verb)
    yield verb
    verb.gate.set()
    effects._registry.clear()
    effects._registry.update(known)


@pytest.fixture
def sink() -> ListSink:
    return ListSink()


@pytest.fixture
def context(tmp_path: Path, sink: ListSink) -> PlaneContext:
    return context_for_trial("alpha", directory=tmp_path, sink=sink, clock=lambda: NOW)


def in_thread(context: PlaneContext, sent: Data) -> tuple[threading.Thread, list[Data | None]]:
    reports: list[Data | None] = []
    thread = threading.Thread(target=lambda: reports.append(execute(context, sent)), daemon=True)
    thread.start()
    return thread, reports


def test_a_finished_effect_is_reported_with_its_output(context: PlaneContext, sink: ListSink, verb: Verb) -> None:
    report = execute(context, command())

    assert report == {
        "operation": "11111111-1111-4111-8111-111111111111",
        "step": "first",
        "direction": "do",
        "attempt": 1,
        "generation": 1,
        "plane": "alpha",
        "plane_kind": "host",
        "state": "done",
        "output": {"runs": 1},
        "error": None,
        "finished_at": NOW,
    }
    assert sink.reports == [report]


def test_progress_is_sent_before_the_effect_runs(context: PlaneContext, sink: ListSink, verb: Verb) -> None:
    execute(context, command())

    assert sink.progresses[0]["operation"] == command()["operation"]
    assert sink.progresses[0]["plane"] == "alpha"


def test_a_late_command_is_refused_and_never_run(context: PlaneContext, verb: Verb) -> None:
    report = execute(context, command(deadline_at=NOW - 5))

    assert report is not None and report["state"] == "refused"
    assert "5 s too late" in report["error"]["message"]
    assert verb.runs == 0


def test_a_refused_command_may_still_run_when_it_comes_in_time(context: PlaneContext, verb: Verb) -> None:
    execute(context, command(deadline_at=NOW - 5))
    report = execute(context, command(attempt=2))

    assert report is not None and report["state"] == "done"


def test_a_generation_below_the_highest_seen_is_refused(context: PlaneContext, verb: Verb) -> None:
    execute(context, command(generation=7))
    report = execute(context, command(generation=6, operation="other"))

    assert report is not None and report["state"] == "refused"
    assert verb.runs == 1


def test_the_same_generation_of_another_subject_is_not_refused(context: PlaneContext, verb: Verb) -> None:
    execute(context, command(generation=7))
    report = execute(context, command(generation=6, operation="other", subject={"kind": "vm", "uuid": "vm-2"}))

    assert report is not None and report["state"] == "done"


def test_a_generation_outlives_a_restart_of_the_plane(tmp_path: Path, verb: Verb) -> None:
    execute(context_for_trial(directory=tmp_path, clock=lambda: NOW), command(generation=7))
    restarted = context_for_trial(directory=tmp_path, clock=lambda: NOW)

    report = execute(restarted, command(generation=6, operation="other"))

    assert report is not None and report["state"] == "refused"


def test_a_second_delivery_of_a_running_step_attaches(context: PlaneContext, sink: ListSink, verb: Verb) -> None:
    verb.gate.clear()
    thread, reports = in_thread(context, command())
    assert verb.started.wait(5)

    attached = execute(context, command(attempt=2))
    verb.gate.set()
    thread.join(5)

    assert attached is None
    assert verb.runs == 1
    assert sink.progresses[-1]["attempt"] == 2
    # The control plane waits for attempt 2 now, so that is what the one run reports.
    assert [report["attempt"] for report in sink.reports] == [2]
    assert reports[0] == sink.reports[0]


def test_a_second_delivery_of_a_finished_step_repeats_the_report(context: PlaneContext, verb: Verb) -> None:
    execute(context, command())
    report = execute(context, command(attempt=2))

    assert report is not None
    assert (report["state"], report["attempt"], report["output"]) == ("done", 2, {"runs": 1})
    assert verb.runs == 1


def test_a_finished_step_is_repeated_even_when_the_message_is_late(context: PlaneContext, verb: Verb) -> None:
    execute(context, command())
    report = execute(context, command(attempt=2, deadline_at=NOW - 5))

    assert report is not None and report["state"] == "done"


def test_a_failed_step_runs_again_for_a_higher_attempt_only(context: PlaneContext, verb: Verb) -> None:
    verb.failure = Unreachable("The hypervisor is away.", "socket")
    first = execute(context, command())
    repeated = execute(context, command())
    verb.failure = None
    second = execute(context, command(attempt=2))

    assert first is not None and repeated is not None and second is not None
    assert first["error"] == {
        "kind": "Unreachable",
        "message": "The hypervisor is away.",
        "detail": "socket",
        "transient": True,
    }
    assert repeated == first
    assert (second["state"], second["output"]) == ("done", {"runs": 2})


def test_an_unexpected_exception_becomes_a_driver_error_with_the_traceback(context: PlaneContext, verb: Verb) -> None:
    verb.failure = ZeroDivisionError("ouch")
    report = execute(context, command())

    assert report is not None and report["state"] == "failed"
    assert report["error"]["kind"] == "DriverError"
    assert report["error"]["message"] == "alpha could not do test.do: ZeroDivisionError."
    assert "Traceback" in report["error"]["detail"] and "ouch" in report["error"]["detail"]


def test_an_unknown_verb_is_a_failed_report(context: PlaneContext) -> None:
    report = execute(context, command("vm.levitate"))

    assert report is not None and report["state"] == "failed"
    assert "cannot do vm.levitate" in report["error"]["message"]


def test_a_step_of_a_process_that_died_runs_again(context: PlaneContext, verb: Verb) -> None:
    context.state.step_started(effects.step_key(command()), 1)  # what kill -9 leaves behind

    report = execute(context, command())

    assert report is not None and report["state"] == "done"


def test_two_steps_of_one_subject_exclude_each_other(context: PlaneContext, sink: ListSink, verb: Verb) -> None:
    verb.gate.clear()
    first, _ = in_thread(context, command())
    assert verb.started.wait(5)
    second, _ = in_thread(context, command(step="second"))
    wait_for(lambda: any("waiting" in word["text"] for word in sink.progresses))

    verb.gate.set()
    first.join(5)
    second.join(5)

    assert (verb.runs, verb.most_at_once) == (2, 1)


def test_steps_of_two_subjects_run_at_once(context: PlaneContext, verb: Verb) -> None:
    verb.gate.clear()
    threads = [
        in_thread(context, command(operation=name, subject={"kind": "vm", "uuid": name}))[0] for name in ("one", "two")
    ]
    wait_for(lambda: verb.runs == 2)
    verb.gate.set()
    for thread in threads:
        thread.join(5)

    assert verb.most_at_once == 2


def test_a_verb_that_only_reads_does_not_wait_for_the_subject(context: PlaneContext, verb: Verb) -> None:
    verb.gate.clear()
    thread, _ = in_thread(context, command())
    assert verb.started.wait(5)
    reader, _ = in_thread(context, command("test.read", operation="reader"))

    wait_for(lambda: verb.runs == 2)
    verb.gate.set()
    thread.join(5)
    reader.join(5)


def test_waiting_for_the_subject_ends_with_the_steps_time(context: PlaneContext, verb: Verb) -> None:
    verb.gate.clear()
    thread, _ = in_thread(context, command())
    assert verb.started.wait(5)

    report = execute(context, command(step="second", timeout_s=0.3))
    verb.gate.set()
    thread.join(5)

    assert report is not None and report["error"]["kind"] == "TimedOut"
    assert verb.runs == 1


def test_a_waiting_step_whose_generation_was_overtaken_is_not_run(
    context: PlaneContext, sink: ListSink, verb: Verb
) -> None:
    verb.gate.clear()
    first, _ = in_thread(context, command(generation=1))
    assert verb.started.wait(5)
    second, reports = in_thread(context, command(step="second", generation=1))
    wait_for(lambda: any("waiting" in word["text"] for word in sink.progresses))

    context.state.generation_accept("vm-1", 2)
    verb.gate.set()
    first.join(5)
    second.join(5)

    assert verb.runs == 1
    assert reports[0] is not None and reports[0]["error"]["kind"] == "Refused"


def test_an_abort_reaches_a_running_effect_and_its_callbacks(context: PlaneContext, verb: Verb) -> None:
    verb.gate.clear()
    thread, reports = in_thread(context, command())
    assert verb.started.wait(5)

    abort(context, {"operation": command()["operation"], "step": "first"})
    thread.join(5)

    assert reports[0] is not None and reports[0]["state"] == "failed"
    assert reports[0]["error"]["message"] == "The step was cancelled while it ran."


def test_an_abort_calls_the_callback_of_an_effect_that_does_not_look(context: PlaneContext, verb: Verb) -> None:
    called = threading.Event()

    def migrate(context: PlaneContext, arguments: Data, progress: Progress) -> Data:
        with progress.on_abort(called.set):
            verb.started.set()
            assert called.wait(5)  # as a libvirt call that blocks until abortJob
        return {}

    effect("test.migrate", lane="long")(migrate)
    thread, reports = in_thread(context, command("test.migrate"))
    assert verb.started.wait(5)
    abort(context, {"operation": command()["operation"], "step": ""})
    thread.join(5)

    assert called.is_set()
    assert reports[0] is not None and reports[0]["state"] == "done"  # it ended well after all, and says so


def test_a_step_aborted_before_it_started_is_refused(context: PlaneContext, verb: Verb) -> None:
    abort(context, {"operation": command()["operation"], "step": "first"})
    report = execute(context, command())

    assert report is not None and report["state"] == "refused"
    assert verb.runs == 0


def test_an_abort_does_not_stop_the_undo(context: PlaneContext, verb: Verb) -> None:
    abort(context, {"operation": command()["operation"], "step": "first"})
    report = execute(context, command(direction="undo"))

    assert report is not None and report["state"] == "done"


def test_a_step_that_was_undone_is_not_done_by_a_message_that_comes_later(context: PlaneContext, verb: Verb) -> None:
    execute(context, command(direction="undo"))
    report = execute(context, command())

    assert report is not None and report["state"] == "refused"
    assert verb.runs == 1


def test_an_undo_waits_for_the_step_that_is_still_being_done(context: PlaneContext, sink: ListSink, verb: Verb) -> None:
    verb.gate.clear()
    doing, _ = in_thread(context, command(subject=None))
    assert verb.started.wait(5)
    undoing, _ = in_thread(context, command(subject=None, direction="undo"))
    wait_for(lambda: any("waiting" in word["text"] for word in sink.progresses))

    verb.gate.set()
    doing.join(5)
    undoing.join(5)

    assert (verb.runs, verb.most_at_once) == (2, 1)


def test_an_effect_that_overruns_its_time_is_told(context: PlaneContext, verb: Verb) -> None:
    verb.gate.clear()
    report = execute(context, command(timeout_s=0.2))

    assert report is not None and report["error"]["kind"] == "TimedOut"


def test_a_quiesced_host_refuses_what_brings_work_and_nothing_else(context: PlaneContext, verb: Verb) -> None:
    context.state.flag_set(effects.QUIESCED, "1")

    refused = execute(context, command("test.create"))
    other = execute(context, command("test.do", operation="other"))
    undone = execute(context, command("test.create", operation="third", direction="undo"))

    assert refused is not None and refused["state"] == "refused"
    assert "takes no new work" in refused["error"]["message"]
    assert other is not None and other["state"] == "done"
    assert undone is not None and undone["state"] == "done"


def test_at_most_three_steps_of_a_lane_wait_so_that_an_abort_finds_a_thread(
    context: PlaneContext, sink: ListSink, verb: Verb
) -> None:
    verb.gate.clear()
    threads = [in_thread(context, command())[0]]
    assert verb.started.wait(5)
    threads += [in_thread(context, command(step=f"waiting {n}"))[0] for n in range(effects.WAITERS_AT_MOST)]
    wait_for(lambda: sum("waiting" in word["text"] for word in sink.progresses) >= effects.WAITERS_AT_MOST)

    report = execute(context, command(step="one too many"))
    verb.gate.set()
    for thread in threads:
        thread.join(5)

    assert report is not None and report["error"]["kind"] == "TimedOut"


def wait_for(is_so: Any, seconds: float = 5.0) -> None:
    tick = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if is_so():
            return
        tick.wait(0.01)
    raise AssertionError("it did not come to that in time")
