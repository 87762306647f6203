from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hosts.errors import Invalid, Refused
from tests.actors import client_of
from tests.datacenter.world import a_user
from tests.factories import container_make, host_make, vm_make
from workloads import services
from workloads.models import Snapshot, VirtualMachine, Workload
from workloads.services.snapshots import SNAPSHOTS_MOST
from workloads.states import why_not

pytestmark = pytest.mark.django_db


def a_vm() -> VirtualMachine:
    host = host_make(hypervisor="QEMU 7.2", engine="Docker 20.10", architecture="x86_64")
    return VirtualMachine.objects.select_related("host").get(pk=vm_make(host).pk)


def a_snapshot(vm: VirtualMachine, name: str, parent: str = "", minutes: int = 0) -> Snapshot:
    taken_at = timezone.now() + timedelta(minutes=minutes)
    return Snapshot.objects.create(vm=vm, name=name, parent_name=parent, taken_at=taken_at, has_memory=bool(parent))


@pytest.mark.parametrize("name", ["", "a/b", "a'b", "<x>", "ü", "-rf", "x" * 300])
def test_a_name_that_a_layer_below_could_misread_is_refused(name: str):
    with pytest.raises(Invalid):
        services.snapshot_take(a_user(), a_vm(), name=name)


def test_a_name_is_given_once_and_the_number_of_snapshots_has_an_end():
    vm = a_vm()
    a_snapshot(vm, "before")
    with pytest.raises(Invalid, match="Choose another name"):
        services.snapshot_take(a_user(), vm, name="before")
    for number in range(SNAPSHOTS_MOST - 1):
        a_snapshot(vm, f"s{number}")

    with pytest.raises(Invalid, match="Delete one first"):
        services.snapshot_take(a_user(), vm, name="after")


def test_a_vm_with_snapshots_is_not_moved_and_a_container_has_none():
    vm = a_vm()
    Workload.objects.filter(pk=vm.pk).update(snapshot_count=1, state="running")
    vm.refresh_from_db()

    assert "has snapshots" in str(why_not(vm, "move"))
    assert "only a VM" in str(why_not(container_make(vm.host), "snapshot"))
    with pytest.raises(Refused, match="has snapshots"):
        services.workload_move(a_user(), vm, target=host_make())


def test_a_vm_with_a_disk_for_its_first_boot_has_none_and_its_page_says_why():
    vm = a_vm()
    vm.disks.append({"target": "vdb", "path": f"/pool/{vm.pk}-seed.img", "format": "raw", "size_gib": 0.001})
    vm.save()

    with pytest.raises(Refused, match="every disk of a VM can hold one"):
        services.snapshot_take(a_user(), vm, name="before")
    assert "every disk of a VM can hold one" in client_of("operator").get(f"/workloads/{vm.pk}/").content.decode()


def test_the_page_shows_the_tree_and_asks_before_anything_is_lost():
    vm = a_vm()
    a_snapshot(vm, "clean", minutes=-9)
    a_snapshot(vm, "patched", "clean", minutes=-5)
    a_snapshot(vm, "orphan", "deleted-by-virsh", minutes=-1)

    page = client_of("operator").get(f"/workloads/{vm.pk}/").content.decode()

    assert page.index(">clean</strong>") < page.index("after clean</span>") < page.index(">orphan</strong>")
    assert "The VM becomes what it was at patched. Everything that it wrote since then is lost" in page
    assert "Take it" not in client_of("operator").get(f"/workloads/{container_make(vm.host).pk}/").content.decode()
