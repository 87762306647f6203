"""Which hosts may go dark by a plan, and what the planner is told of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.models import Plan, Policy
from datacenter.snapshot import data_center_read
from datacenter.wake_proof import wake_proofs
from datacenter.wake_view import bars_of, site_wakes
from hosts.models import Host, Wake
from tests.actors import client_of
from tests.datacenter.world import a_host, a_site, a_user

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def a_policy(**values) -> Policy:
    return Policy.objects.create(site=a_site(), **values)


def woke(host: Host, days_ago: float = 1, seconds: float | None = 20.0, passed: bool = True) -> Wake:
    began_at = NOW - timedelta(days=days_ago)
    return Wake.objects.create(host=host, origin="drill", began_at=began_at, seconds=seconds, passed=passed)


def may_go_dark(host: Host, is_automatic: bool) -> tuple[bool, str]:
    world = data_center_read(a_site(), NOW, is_automatic=is_automatic)
    row = next(row for row in world.hosts if row.id == str(host.pk))
    return row.can_power_off, row.power_off_reason


@pytest.mark.parametrize(
    ("wanted", "by_a_person", "by_itself"),
    [("never", True, True), ("automatic", True, False), ("always", False, False)],
)
def test_the_policy_says_which_plans_need_a_proof(wanted: str, by_a_person: bool, by_itself: bool):
    a_policy(require_wake_proof=wanted)
    host = a_host("alpha")

    assert (may_go_dark(host, False)[0], may_go_dark(host, True)[0]) == (by_a_person, by_itself)
    if not by_itself:
        assert may_go_dark(host, True)[1] == "alpha was never seen to wake. Run a wake drill first."
    woke(host)
    assert may_go_dark(host, True) == (True, "")


def test_a_site_without_a_policy_asks_for_a_proof_where_no_person_stands_behind_a_plan():
    host = a_host("alpha")

    assert may_go_dark(host, True)[0] is False
    assert may_go_dark(host, False)[0] is True


@pytest.mark.parametrize(("days_ago", "is_proven"), [(29.9, True), (30.1, False)])
def test_a_proof_grows_old(days_ago: float, is_proven: bool):
    policy = a_policy(wake_proof_days=30)
    host = a_host("alpha")
    woke(host, days_ago)

    assert (wake_proofs(policy, NOW, is_automatic=True).why_not_proven(host) == "") is is_proven


def test_a_failed_wake_takes_the_proof_of_those_before():
    policy = a_policy()
    host = a_host("alpha")
    woke(host, 2)
    woke(host, 1, None, passed=False)

    assert "did not wake the last time" in wake_proofs(policy, NOW, is_automatic=True).why_not_proven(host)


def test_a_host_in_quarantine_stays_on_whatever_the_policy_says_and_takes_nothing():
    a_policy(require_wake_proof="never", spare_hosts=1)
    host = a_host("alpha", quarantined_at=NOW, quarantine_reason="It stayed dark.")
    woke(host)

    world = data_center_read(a_site(), NOW)

    assert world.hosts[0].can_power_off is False and world.hosts[0].accepts_work is False
    assert "quarantine" in world.hosts[0].accepts_reason


def test_the_planner_is_told_how_long_waking_takes_by_the_host_itself_or_by_its_site():
    a_policy()
    alpha, beta = a_host("alpha"), a_host("beta")
    woke(alpha, seconds=30.0)
    woke(alpha, seconds=10.0)

    world = data_center_read(a_site(), NOW)

    assert {host.name: host.wake_s for host in world.hosts} == {"alpha": 30.0, "beta": 30.0}
    woke(beta, seconds=7.0)
    world = data_center_read(a_site(), NOW)
    assert {host.name: host.wake_s for host in world.hosts} == {"alpha": 30.0, "beta": 7.0}


@pytest.mark.parametrize(
    ("approved_by", "approved", "requested_by", "is_automatic"),
    [
        ("ann", True, "autopilot", False),
        ("autopilot", True, "ann", True),
        (None, True, "ann", True),
        (None, False, "ann", False),
        (None, False, "autopilot", False),
    ],
)
def test_a_plan_is_automatic_when_no_person_stands_behind_it(approved_by, approved, requested_by, is_automatic):
    user = a_user()
    user.username = approved_by or "x"
    plan = Plan(site=a_site(), requested_by_name=requested_by, approved_at=NOW if approved else None)
    plan.approved_by = user if approved_by else None

    assert plan.is_automatic is is_automatic


def test_the_page_tells_the_distribution_and_who_is_not_proven():
    alpha, beta = a_host("alpha"), a_host("beta", power="off", desired_power="off")
    for number in range(1, 21):
        woke(beta, seconds=float(number))
    client = client_of("viewer")

    page = client.get(f"/sites/{a_site().pk}/wakes/").content.decode()
    told = client.get(f"/api/wakes/{a_site().pk}").json()

    assert "alpha was never seen to wake" in page and "20 took" not in page
    assert (told["wakes"], told["median_s"], told["p95_s"]) == (20, 10.0, 19.0)
    assert told["reserve"].startswith("1 of 1 hosts that are off can be counted on, within 19 s")
    assert {row["name"]: row["proof"] for row in told["hosts"]} == {"alpha": "unproven", "beta": "proven"}
    assert alpha.name in [row.host.name for row in site_wakes(a_site(), NOW).unproven]


def test_bars_count_every_wake_once():
    bars = bars_of([1.0, 1.0, 12.0])

    assert [bar.count for bar in bars] == [0, 2, *[0] * 9, 1]
    assert bars_of([]) == [] and sum(bar.count for bar in bars_of([0.0])) == 1
