"""The engine by itself, with a saga of two steps on a host called alpha."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from hosts.drivers.fake import FakeDataCenter
from hosts.errors import Refused
from hosts.models import AuditRecord, Entry, Lease, Operation
from hosts.operations import registry
from hosts.operations.intervene import (
    operation_cancel_request,
    operation_close_request,
    operation_retry_request,
)
from hosts.operations.saga import Context, EffectCall, Saga, Step
from hosts.operations.signals import operation_finished
from hosts.operations.start import operation_start
from tests.factories import user_make
from tests.hosts.operations.harness import Harness, Trouble

State = Operation.State
pytestmark = pytest.mark.django_db


def ping(context: Context) -> EffectCall:
    return EffectCall("host.alpha.short", "host.ping", subject=("thing", "7"), deadline_s=60, timeout_s=30)


@pytest.fixture
def saga() -> Iterator[Saga]:
    written: list[str] = []
    saga = registry.register(
        Saga(
            "trial",
            "try",
            (
                Step("first", control=lambda _: written.append("first"), undo=lambda _: written.append("back")),
                Step("second", effect=ping, undo_effect=ping),
            ),
        )
    )
    yield saga
    registry.unregister("trial")


@pytest.fixture
def harness() -> Harness:
    return Harness(FakeDataCenter("alpha"))


def start(**values: Any) -> Operation:
    given: dict[str, Any] = {"user": user_make("operator"), "subject": ("thing", "7", "the thing")}
    return operation_start("trial", **(given | values))


def test_it_runs_to_its_end_and_gives_back_its_lease(saga, harness):
    operation = harness.run(start())

    assert operation.state == State.DONE
    assert operation.finished_at is not None
    assert operation.reported_at, "which observations are older news than its end must be known"
    assert Lease.objects.get(thing_id="7").operation is None


def test_a_second_operation_on_the_same_thing_is_refused_naming_the_first(saga):
    start()

    with pytest.raises(Refused, match="the thing is busy: “try” by operator-"):
        start()
    assert Operation.objects.count() == 1


def test_the_same_key_gives_the_same_operation(saga):
    first = start(idempotency_key="click-1")

    assert start(idempotency_key="click-1") == first
    assert Operation.objects.count() == 1


def test_each_operation_gets_a_higher_generation_and_sends_it(saga, harness):
    harness.run(start())
    operation = start()
    harness.run(operation)

    command = operation.entries.get(kind=Entry.Kind.STARTED).data["command"]
    assert command["generation"] == 2


def test_starting_leaves_an_audit_record_with_the_operation(saga):
    operation = start()

    record = AuditRecord.objects.get(operation_id=operation.pk)
    assert (record.verb, record.thing_name) == ("trial", "the thing")


def test_what_before_start_refuses_leaves_nothing(saga):
    def refuse(_operation: Operation) -> None:
        raise Refused("No room.")

    with pytest.raises(Refused, match="No room"):
        start(before_start=refuse)
    assert not Operation.objects.exists()
    assert not Lease.objects.filter(operation__isnull=False).exists()
    assert not AuditRecord.objects.exists()


def test_a_report_counts_once(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    _, queue, command = harness.messages.popleft()
    harness._execute(queue, command)
    report = next(message[1] for message in harness.messages if message[0] == "report")
    harness.messages.clear()

    assert harness.engine().report_accept(report)
    assert not harness.engine().report_accept(report)


def test_a_report_by_another_plane_is_not_believed(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    _, queue, command = harness.messages.popleft()
    harness._execute(queue, command)
    report = next(message[1] for message in harness.messages if message[0] == "report")

    assert not harness.engine().report_accept(report | {"plane": "mallory"})
    assert not harness.engine().report_accept(report | {"plane_kind": "site"})


def test_a_failure_of_an_older_attempt_is_not_believed(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    command = harness.messages.popleft()[2]
    harness.now += timedelta(seconds=20)
    harness.engine().sweep()
    harness._report(harness.plane("host.alpha"), command, "failed", {}, Refused("stale"))

    assert not harness.engine().report_accept(harness.messages.pop()[1])


def test_a_command_that_nobody_answers_is_sent_again_with_its_first_deadline(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    first = harness.messages.popleft()[2]

    harness.now += timedelta(seconds=14)
    harness.engine().sweep()
    assert not harness.messages
    harness.now += timedelta(seconds=2)
    harness.engine().sweep()
    again = harness.messages.popleft()[2]

    assert again["attempt"] == first["attempt"] + 1
    assert again["deadline_at"] == first["deadline_at"]


def test_a_heartbeat_keeps_a_command_from_being_sent_again(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    command = harness.messages.popleft()[2]
    harness.now += timedelta(seconds=14)
    progress = {key: command[key] for key in ("operation", "step", "direction", "attempt")}
    word = progress | {"plane": "alpha", "plane_kind": "host", "percent": 40.0, "text": "half", "data": {}}
    assert not harness.engine().progress_accept(word | {"plane": "mallory"})
    assert harness.engine().progress_accept(word)
    harness.now += timedelta(seconds=10)
    harness.engine().sweep()

    assert not harness.messages
    operation.refresh_from_db()
    assert (operation.progress_percent, operation.progress_text) == (40.0, "half")


def test_silence_past_the_deadline_is_a_failure_that_names_the_host(saga, harness):
    harness.troubles = [Trouble("second", "silent", 10**6), Trouble("second", "silent", 10**6, "undo")]

    operation = harness.run(start())

    assert operation.state == State.STUCK  # whether it was done is not known, so its undo was tried too
    assert "Nobody answers on host alpha" in operation.message


def test_a_stuck_operation_can_be_closed_and_frees_what_it_held(saga, harness):
    harness.troubles = [Trouble("second", "silent", 10**6), Trouble("second", "silent", 10**6, "undo")]
    operation = harness.run(start())

    operation_close_request(operation)

    operation.refresh_from_db()
    assert operation.state == State.FAILED
    start()


def test_only_a_stuck_operation_is_retried_or_closed(saga):
    operation = start()

    with pytest.raises(Refused):
        operation_retry_request(operation)
    with pytest.raises(Refused):
        operation_close_request(operation)


def test_a_cancel_sends_an_abort_to_the_short_lane_and_undoes(saga, harness):
    operation = start()
    harness.engine().advance(operation.pk)
    operation_cancel_request(operation)
    harness.engine().advance(operation.pk)

    assert harness.messages[-1] == ("abort", "host.alpha.short", {"operation": str(operation.pk), "step": "second"})
    harness.messages.rotate(1)  # it overtakes the command, which waits behind others
    operation = harness.run(operation)
    assert operation.state == State.CANCELLED


def test_a_second_cancel_is_refused(saga):
    operation = start()
    operation_cancel_request(operation)
    operation.refresh_from_db()

    with pytest.raises(Refused, match="already"):
        operation_cancel_request(operation)


def test_the_end_of_an_operation_is_told_to_who_listens(saga, harness):
    ended: list[Any] = []

    def listen(sender: Any, operation_id: Any, **_: Any) -> None:
        ended.append(operation_id)

    operation_finished.connect(listen)
    try:
        operation = harness.run(start())
    finally:
        operation_finished.disconnect(listen)

    assert ended == [operation.pk]


def test_a_defect_in_a_step_ends_in_a_sentence_and_an_undo(harness):
    undone: list[str] = []
    registry.register(
        Saga(
            "trial",
            "try",
            (
                Step("first", control=lambda _: None, undo=lambda _: undone.append("first")),
                Step("second", control=lambda _: {}["nothing"]),  # type: ignore[index]
            ),
        )
    )
    try:
        operation = harness.run(start())
    finally:
        registry.unregister("trial")

    assert operation.state == State.FAILED
    assert "mistake" in operation.message
    assert undone == ["first"]


def test_an_unknown_saga_is_refused_before_anything_is_written():
    with pytest.raises(Exception, match="No operation is called"):
        operation_start("trial-that-is-not", user=None, subject=("thing", "7", "x"))
    assert not Operation.objects.exists()


def test_a_journal_refuses_a_second_line_of_the_same_number(saga):
    operation = start()
    Entry.objects.create(operation=operation, number=1, kind=Entry.Kind.NOTED, step="")

    with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
        Entry.objects.create(operation=operation, number=1, kind=Entry.Kind.NOTED, step="")
