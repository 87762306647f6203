"""A host for a new workload."""

from __future__ import annotations

import pytest

from datacenter.models import Policy
from datacenter.services.placement import host_for
from hosts.errors import Invalid, Refused
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


def test_more_memory_than_any_host_has_is_invalid_input():
    a_host("alpha")

    with pytest.raises(Invalid, match="more memory than any host has"):
        host_for(Need(1, 9000))


def test_making_a_workload_without_a_host_asks_here():
    alpha = a_host("alpha")

    assert host_choose(Need(1, 64)) == alpha
