"""What the control plane's tasks believe: only what its plane has signed."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.services import plane_token_issue
from hosts.signing import canonical, signature_of, signing_key
from hosts.tasks import effect_progress, effect_reported
from tests.factories import host_make, user_make
from tests.hosts.operations.harness import Harness
from tests.saga_samples import SAMPLES

pytestmark = pytest.mark.django_db


class Reported:
    """The first report of an operation on a host, and the tokens of that host's plane and of another's."""

    def __init__(self) -> None:
        sample = SAMPLES["start_workload"][0]()
        harness: Harness = sample.harness
        self.operation = sample.operation
        harness.engine().advance(self.operation.pk)
        _, queue, command = harness.messages.popleft()
        harness._execute(queue, command)
        self.report: dict[str, Any] = next(word for kind, word, *_ in harness.messages if kind == "report")
        administrator = user_make("administrator")
        self.token = plane_token_issue(administrator, of=self.operation.host)
        self.stranger = plane_token_issue(administrator, of=host_make("stranger"))

    def is_taken(self) -> bool:
        return self.operation.entries.filter(kind="done", step=self.report["step"]).exists()


def signed_by(token: str, message: dict[str, Any]) -> str:
    return signature_of(signing_key(token), canonical(message))


def test_a_report_signed_by_its_plane_is_taken():
    reported = Reported()

    effect_reported(reported.report, signed_by(reported.token, reported.report))

    assert reported.is_taken()


def test_a_report_that_another_plane_signed_is_dropped():
    reported = Reported()

    effect_reported(reported.report, signed_by(reported.stranger, reported.report))

    assert not reported.is_taken()


def test_a_signed_report_that_was_changed_on_its_way_is_dropped():
    reported = Reported()
    signature = signed_by(reported.token, reported.report)

    effect_reported(reported.report | {"output": {"forged": True}}, signature)

    assert not reported.is_taken()


@pytest.mark.parametrize("message", [{}, {"plane": None, "plane_kind": []}, {"plane": "x" * 10_000}])
def test_messages_that_name_no_plane_are_dropped(message: dict[str, Any], caplog: pytest.LogCaptureFixture):
    effect_reported(message, "")
    effect_progress(message, "0" * 64)

    assert [record.getMessage().endswith("is not signed by it and was dropped.") for record in caplog.records] == [
        True,
        True,
    ]
