"""Names that people read are words, never the names that programs use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

from hosts import chronicle, words
from hosts.audit import audit_write
from hosts.models import Entry, Operation
from hosts.operations.registry import sagas, title_of
from tests.factories import host_make

FLOORS = ("hosts", "workloads", "datacenter")


def test_every_step_of_every_saga_has_words():
    steps = {step.name for saga in sagas().values() for step in saga.steps}

    assert sorted(steps - set(words.STEPS)) == []


def test_every_verb_that_is_audited_has_words():
    source = "\n".join(path.read_text() for floor in FLOORS for path in (Path(settings.BASE_DIR) / floor).rglob("*.py"))
    verbs = set(re.findall(r'audit_write\(\s*[\w.]+,\s*"(\w+)"', source))

    assert len(verbs) > 10
    assert sorted(verbs - set(words.VERBS)) == []


def test_an_operation_that_is_no_longer_known_is_said_with_blanks():
    assert title_of("paint_host") == "paint host"


def test_the_audit_log_is_found_by_the_words_it_shows():
    assert "plan_approve" in words.verbs_said("Approved")
    assert "migrate_vm" in words.verbs_said("move vm")


@pytest.mark.django_db
def test_an_audited_move_says_from_where_to_where():
    alpha, beta = host_make("alpha"), host_make("beta")
    parameters = {"workload": "w", "host": str(alpha.pk), "source": str(alpha.pk), "target": str(beta.pk)}
    record = audit_write(None, "migrate_vm", "vm", "w", "web-1", parameters=parameters)

    assert chronicle.audit_details([record]) == [(record, "from alpha, to beta")]


@pytest.mark.django_db
def test_a_journal_says_that_it_is_taken_back_and_leaves_out_what_had_nothing_to_take_back():
    operation = Operation.objects.create(kind="migrate_vm", subject_kind="vm", subject_id="w", subject_name="web-1")
    kinds = [
        ("describe", Entry.Kind.DONE, {}),
        ("", Entry.Kind.NOTED, {"note": "undoing"}),
        ("describe", Entry.Kind.UNDONE, {}),
    ]
    for number, (step, kind, data) in enumerate(kinds, start=1):
        Entry.objects.create(operation=operation, number=number, step=step, kind=kind, data=data)

    lines = [(line.step, line.word) for line in chronicle.journal_of(operation)]

    assert lines == [("describe", "done"), ("", "From here on, what was done is taken back.")]


@pytest.mark.django_db
def test_a_running_operation_without_progress_says_the_step_under_way():
    operation = Operation.objects.create(
        kind="create_vm", subject_kind="vm", subject_id="w", subject_name="web-1", state="running"
    )
    Entry.objects.create(operation=operation, number=1, step="volumes", kind=Entry.Kind.STARTED)

    assert chronicle.progress_said(operation, chronicle.journal_of(operation)) == "Make its disks"


@pytest.mark.parametrize(
    ("kind", "state", "remains"),
    [
        ("create_vm", "failed", False),
        ("create_vm", "done", True),
        ("delete_workload", "done", False),
        ("delete_workload", "failed", True),
    ],
)
def test_an_operation_leads_to_its_subject_only_where_that_remains(kind: str, state: str, remains: bool):
    assert chronicle.subject_remains(Operation(kind=kind, state=state)) is remains
