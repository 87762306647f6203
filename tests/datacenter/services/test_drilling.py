"""Wake drills by schedule: who is due, and what holds them back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.models import Policy, Recovery
from datacenter.services.drilling import drill_due, drills_begin
from hosts.models import AuditRecord, Host, Operation, Wake
from hosts.operations.lease import lease_release
from tests.datacenter.world import a_host, a_site, a_vm

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def policy() -> Policy:
    return Policy.objects.create(site=a_site(), drill_every_days=7)


def woke(host: Host, days_ago: float) -> None:
    Wake.objects.create(host=host, origin="drill", began_at=NOW - timedelta(days=days_ago), seconds=20, passed=True)


def due(policy: Policy) -> str | None:
    host = drill_due(policy, NOW)
    return host.name if host else None


def test_the_empty_host_that_waits_longest_is_drilled_and_only_one(policy: Policy):
    woke(a_host("alpha"), 8)
    a_host("beta")
    a_vm("web-1", a_host("gamma"))

    begun = drills_begin(NOW)

    assert [(row.kind, row.subject_name, row.requested_by) for row in begun] == [("host_wake_drill", "beta", None)]
    assert AuditRecord.objects.get(verb="host_wake_drill").user_name == "system"
    assert drills_begin(NOW) == []


def test_no_drill_without_a_schedule():
    a_host("alpha")
    Policy.objects.create(site=a_site())

    assert drills_begin(NOW) == []


@pytest.mark.parametrize(("days_ago", "wanted"), [(7.1, "alpha"), (6.9, None)])
def test_a_drill_is_due_when_the_last_wake_is_old(policy: Policy, days_ago: float, wanted: str | None):
    woke(a_host("alpha"), days_ago)

    assert due(policy) == wanted


@pytest.mark.parametrize(
    "values",
    [
        {"is_in_maintenance": True},
        {"quarantined_at": NOW},
        {"power": "off"},
        {"last_seen_at": NOW - timedelta(minutes=5)},
        {"bmc": False},
    ],
)
def test_a_host_that_is_not_in_use_for_some_other_reason_is_left_alone(policy: Policy, values: dict):
    a_host("alpha", **values)

    assert due(policy) is None


def test_a_drill_waits_while_the_reserve_would_be_too_small(policy: Policy):
    a_host("alpha")
    policy.spare_hosts = 1
    assert due(policy) is None

    a_host("beta")
    assert due(policy) == "alpha"


def test_a_drill_waits_while_a_loss_could_not_be_survived_meanwhile(policy: Policy):
    a_host("alpha")
    a_vm("web-1", a_host("beta"), memory_mib=2048)
    policy.survive_failures = 1
    assert due(policy) is None

    a_vm("web-2", a_host("gamma"), memory_mib=1024)
    assert due(policy) == "alpha"


def test_a_drill_waits_for_the_end_of_a_recovery(policy: Policy):
    a_host("alpha")
    Recovery.objects.create(host=a_host("beta"), lost_since=NOW)

    assert due(policy) is None


def test_a_drill_that_came_to_nothing_is_not_tried_again_at_once(policy: Policy):
    a_host("alpha")
    (begun,) = drills_begin(NOW)
    Operation.objects.filter(pk=begun.pk).update(state="failed")
    lease_release(begun)

    assert due(policy) is None
    Operation.objects.filter(pk=begun.pk).update(created_at=NOW - timedelta(hours=7))
    assert due(policy) == "alpha"
