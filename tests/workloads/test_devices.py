"""Disks and network cards that a VM is given or loses: what is reserved, what is refused, and what the page offers."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host, Operation, Pool
from tests.actors import client_of
from tests.factories import LOCAL_POOL, host_make, pool_mount_make, user_make, vm_make
from workloads import services
from workloads.models import VirtualMachine

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    host = host_make(links=[{"name": "stw0", "kind": "bridge"}, {"name": "eth0", "kind": "physical"}])
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return host


def a_vm(host: Host, **values: Any) -> VirtualMachine:
    """With a second disk."""
    vm = vm_make(host, "web-1", nics=[{"bridge": "stw0", "mac": "52:54:00:00:00:01"}], **values)
    vm.disks.append(vm.disks[0] | {"target": "vdb", "path": f"{LOCAL_POOL}/{vm.pk}-vdb-1.qcow2"})
    vm.save()
    return vm


def test_a_disk_takes_the_next_free_place_and_its_room_is_promised_at_once(host: Host):
    vm = a_vm(host)
    vm.disks[1]["target"] = "vdc"
    vm.save()

    operation = services.disk_add(user_make(), vm, size_gib=5)

    row = VirtualMachine.objects.get(pk=vm.pk)
    assert [disk["target"] for disk in row.disks] == ["vda", "vdc", "vdb"] and row.disk_gib == 6
    path = operation.parameters["disk"]["path"]
    assert path.startswith(f"{LOCAL_POOL}/{vm.pk}-vdb-") and path != vm.disks[1]["path"]


@pytest.mark.parametrize("size_gib", [0, -1, 0.001, 1e6, float("nan"), float("inf")])
def test_a_size_that_no_disk_has_is_refused(host: Host, size_gib: float):
    with pytest.raises(Invalid) as refusal:
        services.disk_add(user_make(), a_vm(host), size_gib=size_gib)
    assert refusal.value.field == "size_gib" and not Operation.objects.exists()


def test_a_disk_without_room_or_place_is_refused_and_nothing_is_promised(host: Host):
    vm = a_vm(host)
    with pytest.raises((Refused, Invalid)):
        services.disk_add(user_make(), vm, size_gib=60_000)
    with pytest.raises(Invalid, match="does not have the pool elsewhere"):
        services.disk_add(user_make(), vm, size_gib=1, pool="elsewhere")
    vm.disks = [vm.disks[0] | {"target": f"vd{letter}"} for letter in "abcdefghijklmnopqrstuvwxyz"]
    vm.save()
    with pytest.raises(Refused, match="26 disks already"):
        services.disk_add(user_make(), vm, size_gib=1)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"is_adopted": True}, "not made by Stowage"),
        ({"snapshot_count": 1}, "has snapshots"),
        ({"state": "migrating"}, ""),
    ],
)
def test_a_vm_whose_disks_must_stay_as_they_are_is_left_alone(host: Host, values: dict[str, Any], sentence: str):
    vm = a_vm(host, **values)
    for act in (
        lambda: services.disk_add(user_make(), vm, size_gib=1),
        lambda: services.disk_detach(user_make(), vm, target="vdb"),
    ):
        with pytest.raises(Refused, match=sentence):
            act()
    with pytest.raises(Forbidden):
        services.nic_add(user_make("viewer"), a_vm_named(host, "web-2"), bridge="stw0")


def a_vm_named(host: Host, name: str) -> VirtualMachine:
    return vm_make(host, name, nics=[])


def test_the_disk_that_it_starts_from_and_one_that_it_has_not_stay(host: Host):
    vm = a_vm(host)
    for target, sentence in (("vda", "starts from"), ("vdz", "has no disk vdz")):
        with pytest.raises(Invalid, match=sentence):
            services.disk_detach(user_make(), vm, target=target)
    vm.disks[1]["path"] = "/elsewhere/data.qcow2"
    vm.save()
    with pytest.raises(Invalid, match="made for this VM"):
        services.disk_detach(user_make(), vm, target="vdb", remove_file=True)
    assert services.disk_detach(user_make(), vm, target="vdb").parameters["remove_file"] is False


def test_a_card_hangs_on_a_bridge_that_the_host_has(host: Host):
    vm = a_vm(host)
    with pytest.raises(Invalid, match="It has stw0"):
        services.nic_add(user_make(), vm, bridge="eth0")
    with pytest.raises(Invalid, match="no network card"):
        services.nic_detach(user_make(), vm, mac="52:54:00:00:00:99")
    nic = services.nic_add(user_make(), vm, bridge="stw0").parameters["nic"]
    assert nic["bridge"] == "stw0" and nic["mac"] != vm.nics[0]["mac"]


def test_the_page_offers_them_and_removes_a_file_only_when_the_name_is_typed(host: Host):
    vm, client = a_vm(host), client_of("operator")
    page = client.get(f"/workloads/{vm.pk}/").content.decode()
    assert "A new disk, in GiB" in page and "A new network card on" in page and "ask-detach-vdb" in page
    assert "ask-detach-vda" not in page

    client.post(f"/workloads/{vm.pk}/disks/vdb/detach/", {"remove_file": "1", "typed": "wrong"})
    assert not Operation.objects.exists()
    client.post(f"/workloads/{vm.pk}/disks/", {"size_gib": "much"})
    assert not Operation.objects.exists()
    client.post(f"/workloads/{vm.pk}/disks/vdb/detach/", {"remove_file": "1", "typed": "web-1"})
    assert Operation.objects.get().parameters["remove_file"] is True
    Operation.objects.all().delete()
    vm2 = vm_make(host, "web-2", nics=[])
    client.post(f"/workloads/{vm2.pk}/disks/", {"size_gib": "2", "pool": "local"})
    assert Operation.objects.get().kind == "add_disk"


def test_the_page_of_an_adopted_vm_says_why_it_offers_none(host: Host):
    page = client_of("operator").get(f"/workloads/{a_vm(host, is_adopted=True).pk}/").content.decode()
    assert (
        "leaves its devices as they are" in page and "A new disk, in GiB" not in page and "ask-detach-vdb" not in page
    )


def test_the_api_names_a_pool_by_its_name(host: Host):
    vm, client = a_vm(host), client_of("operator")
    answer = client.post(
        f"/api/workloads/{vm.pk}/disks", {"size_gib": 1, "pool": "none"}, content_type="application/json"
    )
    assert answer.status_code == 422 and "does not have the pool none" in answer.json()["message"]
    answer = client.post(
        f"/api/workloads/{vm.pk}/disks", {"size_gib": 1, "pool": "local"}, content_type="application/json"
    )
    assert answer.status_code == 202
