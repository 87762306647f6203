"""VMs copied while they are off: what is asked of the source, what is new in the copy, and images to take away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hosts.errors import Forbidden, Invalid, NotFound, Refused
from hosts.models import Host, Pool
from tests.actors import client_of
from tests.factories import LOCAL_POOL, host_make, image_make, pool_mount_make, user_make, vm_make
from workloads import services
from workloads.models import VirtualMachine, Workload

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    host = host_make()
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return host


def off(host: Host, **values: Any) -> VirtualMachine:
    nics = [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}, {"bridge": "stw1", "mac": "52:54:00:00:00:02"}]
    return vm_make(host, "web-1", **({"state": "stopped", "desired": "stopped", "nics": nics} | values))


def test_a_clone_is_the_same_machine_with_addresses_of_its_own(host: Host):
    source = off(host, anti_affinity_group="web", snapshot_count=1, next_size={"cpu_cores": 2, "memory_mib": 512})

    operation = services.vm_clone(user_make(), source, name="web-2")

    clone = VirtualMachine.objects.get(name="web-2")
    assert operation.parameters["copies"] == {"vda": "vda"}
    assert (clone.cpu_cores, clone.memory_mib, clone.state, clone.desired) == (2, 512, "creating", "stopped")
    assert clone.disks[0]["path"] == f"{LOCAL_POOL}/{clone.pk}-vda.qcow2"
    assert [nic["bridge"] for nic in clone.nics] == ["stw0", "stw1"]
    addresses = [nic["mac"] for vm in (source, clone) for nic in vm.nics]
    assert len(set(addresses)) == 4
    assert clone.anti_affinity_group == "", "it begins beside its source"


def test_nobody_else_may_use_the_source_meanwhile(host: Host):
    source = off(host)
    services.vm_clone(user_make(), source, name="web-2")

    with pytest.raises(Refused, match="clone VM"):
        services.workload_start(user_make(), source)
    with pytest.raises(Refused, match="clone VM"):
        services.vm_clone(user_make(), source, name="web-3")
    assert not Workload.objects.filter(name="web-3").exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"state": "running"}, "Stop it first"),
        ({"state": "paused"}, "Stop it first"),
        ({"is_adopted": True}, "not made by Stowage"),
        ({"disks": []}, "no disk"),
    ],
)
def test_a_source_that_cannot_be_copied_is_refused_with_the_reason(host: Host, values: dict[str, Any], sentence: str):
    source = off(host, **values)
    with pytest.raises(Refused, match=sentence):
        services.vm_clone(user_make(), source, name="web-2")
    assert not Workload.objects.filter(name="web-2").exists()


@pytest.mark.parametrize("name", ["", "a/b", 'a"b', "<web>", "wéb", "w" * 300, "web-1"])
def test_a_bad_or_taken_name_makes_neither_clone_nor_image(host: Host, name: str):
    source = off(host)
    image_make("web-1")
    for verb in (services.vm_clone, services.vm_save_image):
        with pytest.raises(Invalid) as refusal:
            verb(user_make(), source, name=name)
        assert refusal.value.field == "name"
    assert Workload.objects.count() == 1


def test_a_clone_is_refused_where_the_pool_has_no_room_for_it(host: Host):
    source = off(host)
    source.disks[0]["size_gib"] = 1e6
    source.save()
    with pytest.raises(Refused, match="less than the 1000000"):
        services.vm_clone(user_make(), source, name="web-2")
    assert not Workload.objects.filter(name="web-2").exists()


def test_a_clone_that_is_not_started_needs_no_memory_and_one_that_is_does(host: Host):
    source = off(host, memory_mib=host.memory_mib)
    vm_make(host, memory_mib=host.memory_mib // 2)
    with pytest.raises(Refused, match="memory left"):
        services.vm_clone(user_make(), source, name="web-2", start=True)
    services.vm_clone(user_make(), source, name="web-2")


def test_an_image_is_of_a_disk_that_the_vm_has(host: Host):
    source = off(host)
    with pytest.raises(Invalid, match="no disk vdz"):
        services.vm_save_image(user_make(), source, name="golden", target="vdz")
    operation = services.vm_save_image(user_make(), source, name="golden")
    assert operation.parameters["target"] == "vda"


def test_an_image_is_taken_away_whole_or_from_where_it_broke_off_by_those_who_may(tmp_path: Path):
    image = image_make("tiny")
    image.path.parent.mkdir(parents=True, exist_ok=True)
    image.path.write_bytes(b"0123456789")
    image.size_bytes = 10
    image.save()
    client: Client = client_of("operator")
    url = f"/api/images/{image.pk}/content"

    whole = client.get(url)
    rest = client.get(url, headers={"Range": "bytes=4-", "If-Range": f'"{image.sha256}"'})

    assert b"".join(whole) == b"0123456789" and whole["Content-Disposition"] == 'attachment; filename="tiny.qcow2"'
    assert (rest.status_code, b"".join(rest), rest["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
    assert client_of("viewer").get(url).status_code == 403
    with pytest.raises(Forbidden):
        services.image_open(user_make("viewer"), image)
    image.path.unlink()
    with pytest.raises(NotFound, match="are gone"):
        services.image_open(user_make(), image)


def test_the_pages_show_the_verbs_the_reason_against_them_and_the_form(host: Host):
    source = off(host)
    client = client_of("operator")
    page = client.get(f"/workloads/{source.pk}/").content.decode()
    assert f"/workloads/{source.pk}/clone/" in page and "ask-save-image" in page
    form = client.get(f"/workloads/{source.pk}/clone/").content.decode()
    assert "web-1-2" in form and "SSH keys" in form

    refused = client.post(f"/workloads/{source.pk}/clone/", {"name": "web 1"})
    assert refused.status_code == 422 and "A name begins with a letter" in refused.content.decode()
    done = client.post(f"/workloads/{source.pk}/clone/", {"name": "web-2", "start": "on"})
    assert done.status_code == 302 and Workload.objects.filter(name="web-2").exists()

    other = vm_make(host)
    assert "its disks are copied while it is stopped" in client.get(f"/workloads/{other.pk}/").content.decode()
