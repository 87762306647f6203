"""A host for a new workload."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from datacenter.models import Autopilot, Policy, Recovery
from datacenter.services.placement import host_for
from hosts.errors import Invalid, Refused
from hosts.models import Host, Operation
from tests.datacenter.world import a_host, a_site, a_vm
from workloads.services import host_choose
from workloads.services.capacity import Need

pytestmark = pytest.mark.django_db


def test_the_fullest_host_that_still_takes_it_is_chosen():
    alpha, beta = a_host("alpha"), a_host("beta")
    a_vm("web", beta, memory_mib=4096)
    a_host("gamma")

    assert host_for(Need(1, 1024, name="db")) == beta
    assert host_for(Need(1, 4096, name="db")) != beta
    assert alpha


def test_the_rules_of_anti_affinity_bridges_and_engines_are_kept():
    alpha = a_host("alpha", links=[{"name": "lan", "kind": "bridge"}])
    a_vm("db-1", alpha, anti_affinity_group="db")
    beta = a_host("beta", engine="")

    assert host_for(Need(1, 64, group="db", kind="vm")) == beta
    assert host_for(Need(1, 64, kind="container")) == alpha
    assert host_for(Need(1, 64, kind="vm", bridge="stw0")) == beta


def test_when_no_host_can_each_one_says_why():
    alpha = a_host("alpha", is_cordoned=True)
    a_vm("big", a_host("beta"), memory_mib=6000)
    Policy.objects.create(site=a_site(), memory_headroom_percent=15)

    with pytest.raises(Refused) as refusal:
        host_for(Need(1, 2048, name="db"))

    assert refusal.value.message == (
        "No host can take db now. alpha is closed to new workloads. beta has 963.2 MiB of memory left under the "
        "policy, less than the 2,048.0 MiB that db needs. Ask for less, wake a host, or make room on one."
    )
    assert alpha


def asleep(name: str, **fields: Any) -> Host:
    return a_host(name, power="off", desired_power="off", is_cordoned=True, **fields)


def test_a_host_is_woken_only_where_that_is_allowed_and_none_that_is_on_takes_it():
    alpha, beta = a_host("alpha"), asleep("beta")
    assert host_for(Need(1, 1024, name="db", may_wake=True)) == alpha
    a_vm("big", alpha, memory_mib=6000)

    assert host_for(Need(1, 4096, name="db", may_wake=True)) == beta
    with pytest.raises(Refused, match="beta is off and could take it: let a host be woken for it"):
        host_for(Need(1, 4096, name="db"))


def test_a_site_whose_autopilot_relieves_by_itself_wakes_for_a_request_too():
    beta = asleep("beta")
    row = Autopilot.objects.create(site=a_site(), relief="approve")
    with pytest.raises(Refused):
        host_for(Need(1, 1024))
    Autopilot.objects.filter(pk=row.pk).update(relief="automatic")
    assert host_for(Need(1, 1024)) == beta


def test_of_hosts_that_are_off_the_one_that_is_waited_for_already_is_taken():
    asleep("alpha")
    beta = asleep("beta", idle_watts=150.0)
    a_vm("first", beta, state="creating")
    assert host_for(Need(1, 1024, may_wake=True)) == beta


def test_a_host_that_is_lost_in_maintenance_without_bmc_or_did_not_wake_is_not_counted_on():
    Recovery.objects.create(host=asleep("lost"), lost_since=timezone.now())
    asleep("closed", is_in_maintenance=True)
    asleep("plain", bmc=False)
    failed = asleep("failed")
    Operation.objects.create(kind="host_power_on", host=failed, subject_kind="host", state="failed")
    with pytest.raises(Refused):
        host_for(Need(1, 1024, may_wake=True))


def test_more_memory_than_any_host_has_is_invalid_input():
    a_host("alpha")

    with pytest.raises(Invalid, match="more memory than any host has"):
        host_for(Need(1, 9000))


def test_making_a_workload_without_a_host_asks_here():
    alpha = a_host("alpha")

    assert host_choose(Need(1, 64)) == alpha
