"""What a site can lose right now: the room that there is, and what recovery would really start elsewhere."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from datacenter.models import LossOutlook
from datacenter.services.losses import losses_look
from hosts.models import Host, Pool, PoolMount
from tests.actors import client_of
from tests.datacenter.world import a_container, a_host, a_site, a_vm
from workloads.models import VirtualMachine, Workload

pytestmark = pytest.mark.django_db


def hosts_with_a_shared_pool(*names: str, **fields: Any) -> list[Host]:
    pool, _ = Pool.objects.get_or_create(pool_id="s1", name="shared")
    hosts = [a_host(name, **fields) for name in names]
    for host in hosts:
        PoolMount.objects.create(host=host, pool=pool, path="/shared", capacity_gib=100, free_gib=90)
    return hosts


def on_shared(name: str, host: Host, **fields: Any) -> Workload:
    """A VM of our own that another host could start."""
    vm = a_vm(name, host, desired="running", **fields)
    disk = {"target": "vda", "path": f"/shared/{vm.pk}-vda.qcow2", "format": "qcow2", "size_gib": 1, "pool": "shared"}
    nics = [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}]
    VirtualMachine.objects.filter(pk=vm.pk).update(disks=[disk | {"shared_pool_id": "s1"}], nics=nics)
    return vm


def look() -> LossOutlook:
    row = losses_look(a_site(), timezone.now(), {})
    assert row is not None
    return row


def test_any_host_may_be_lost_where_the_others_have_room_for_its_vms():
    alpha, beta, gamma = hosts_with_a_shared_pool("alpha", "beta", "gamma")
    vm = on_shared("web", alpha)
    on_shared("db", beta)

    outlook = look()

    assert outlook.survivable == 2 and outlook.safe == ["alpha", "beta", "gamma"]
    lost = next(row for row in outlook.hosts if row["name"] == "alpha")
    assert lost["restarts"][str(vm.pk)] in (str(beta.pk), str(gamma.pk)) and lost["waits"] == []


def test_what_has_no_room_elsewhere_waits_and_the_sentence_names_it():
    alpha, beta = hosts_with_a_shared_pool("alpha", "beta")
    on_shared("web", alpha, memory_mib=6000)
    on_shared("db", beta, memory_mib=6000)

    outlook = look()

    assert outlook.survivable == 0 and outlook.safe == []
    (waits,) = next(row for row in outlook.hosts if row["name"] == "alpha")["waits"]
    assert waits["name"] == "web" and waits["why"].startswith("web stays down")
    assert outlook.sentence


def test_what_recovery_never_starts_elsewhere_is_not_counted_as_safe_however_much_room_there_is():
    alpha, _ = hosts_with_a_shared_pool("alpha", "beta")
    a_container("cache", alpha, desired="running")
    local = a_vm("local", alpha, desired="running")
    VirtualMachine.objects.filter(pk=local.pk).update(
        nics=[{"bridge": "stw0", "mac": "52:54:00:00:00:02"}],
        disks=[{"target": "vda", "path": f"/local/{local.pk}-vda.qcow2", "format": "qcow2", "size_gib": 1}],
    )

    outlook = look()

    assert outlook.safe == ["beta"] and outlook.unsafe == ["alpha"]
    reasons = {one["name"]: one["why"] for one in outlook.hosts[0]["waits"]}
    assert "starts cache again by itself" in reasons["cache"] and "lies on alpha alone" in reasons["local"]
    assert outlook.survivable >= 1, "there is room, were they started"


def test_the_last_host_cannot_be_lost_and_one_that_is_off_is_no_place():
    alpha, _ = hosts_with_a_shared_pool("alpha", "beta")
    Host.objects.filter(name="beta").update(power="off")
    on_shared("web", alpha)
    outlook = look()
    assert outlook.survivable == 0 and [row["name"] for row in outlook.hosts] == ["alpha"]
    assert outlook.unsafe == ["alpha"]


def test_a_host_that_cannot_be_fenced_is_pointed_out():
    hosts_with_a_shared_pool("alpha", "beta", bmc=False)
    assert "has no BMC" in look().hosts[0]["caution"]


def test_a_look_that_takes_long_is_not_repeated_at_once():
    hosts_with_a_shared_pool("alpha", "beta")
    LossOutlook.objects.create(site=a_site(), looked_at=timezone.now(), took_s=30, survivable=0, sentence="")
    assert losses_look(a_site(), timezone.now() + timedelta(minutes=5), {}) is None
    assert losses_look(a_site(), timezone.now() + timedelta(minutes=11), {}) is not None


def test_overview_page_and_api_tell_it():
    alpha, _ = hosts_with_a_shared_pool("alpha", "beta")
    vm = on_shared("web", alpha)
    client = client_of("viewer")
    assert "Not looked at yet" in client.get(f"/sites/{a_site().pk}/losses/").content.decode()
    assert "You can lose right now" not in client.get("/").content.decode()

    look()

    page = client.get(f"/sites/{a_site().pk}/losses/").content.decode()
    assert "web</a> on beta" in page and f"/workloads/{vm.pk}/" in page
    overview = client.get("/").content.decode()
    assert "You can lose right now" in overview and "any 1" in overview
    (told,) = client.get("/api/losses").json()
    assert told["survivable"] == 1 and told["safe"] == ["alpha", "beta"]
