"""A host that was lent: its alert before and after the day, until it is back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.alerts.events import hosts_due
from datacenter.alerts.reading import Verdict
from datacenter.alerts.wording import condition_said
from datacenter.models import AlertRule, AutopilotDecision
from datacenter.services.autopilot_looks import KEPT_FOR, decisions_forget
from hosts.models import HostJob
from tests.datacenter.world import a_host, a_site

pytestmark = pytest.mark.django_db


def test_it_is_told_days_before_and_after_the_day_until_it_is_back():
    host, rule, now = a_host("alpha"), AlertRule.objects.get(event="host_due"), timezone.now()
    assert condition_said(rule) == "A host with another job is due back within 3 days"
    assert hosts_due(rule, [], now) == []
    job = HostJob.objects.create(host=host, kind="qa", until=now.date() + timedelta(days=4), given_by_name="ann")
    assert hosts_due(rule, [], now) == []

    for days, verb in ((3, "is"), (0, "is"), (-1, "was")):
        HostJob.objects.update(until=now.date() + timedelta(days=days))
        (reading,) = hosts_due(rule, [], now)
        assert reading.verdict is Verdict.WRONG and f"alpha {verb} due back on" in reading.sentence

    HostJob.objects.update(until=now.date() + timedelta(days=30))
    (reading,) = hosts_due(rule, [str(host.pk)], now)
    assert (reading.verdict, reading.sentence) == (Verdict.WELL, "alpha has its other job for longer.")
    job.delete()
    (reading,) = hosts_due(rule, [str(host.pk)], now)
    assert (reading.verdict, reading.sentence) == (Verdict.WELL, "alpha is back.")


def test_what_the_autopilot_decided_long_ago_is_forgotten():
    now = timezone.now()
    for age, goal in ((KEPT_FOR + timedelta(days=1), "pack"), (KEPT_FOR - timedelta(days=1), "pack")):
        AutopilotDecision.objects.create(
            site=a_site(), goal=goal, outcome="nothing", sentence="x", first_at=now - age, last_at=now - age
        )
    assert decisions_forget(now) == 1 and AutopilotDecision.objects.count() == 1
