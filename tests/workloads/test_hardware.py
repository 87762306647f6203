"""ISOs and firmware: what is asked of the VM and its host before anything begins."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host, Pool
from tests.actors import client_of
from tests.factories import LOCAL_POOL, host_make, image_make, pool_mount_make, user_make, vm_make
from workloads import services
from workloads.first_boot import FirstBoot
from workloads.models import Image, VirtualMachine
from workloads.sagas.cdrom import iso_of

pytestmark = pytest.mark.django_db
SIZE = {"cpu_cores": 1, "memory_mib": 128, "disk_gib": 1}


@pytest.fixture
def host() -> Host:
    host = host_make(facts={"firmwares": ["bios"]})
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return host


@pytest.fixture
def iso() -> Image:
    return image_make("debian-iso", format="iso")


def test_a_vm_is_made_from_an_iso_with_an_empty_disk(host: Host, iso: Image):
    operation = services.vm_create(user_make(), name="web-1", image=None, iso=iso, host=host, **SIZE)

    spec = operation.parameters["spec"]
    assert spec["iso"]["image"] == str(iso.pk) and spec["disks"][0]["image"] is None
    assert VirtualMachine.objects.get().has_cdrom


def test_a_vm_is_made_from_something(host: Host):
    page = client_of("operator").post("/workloads/new/vm/", {"name": "web-1", "host": str(host.pk), **SIZE})

    assert page.status_code == 422 and "an ISO to install from" in page.content.decode()


def test_a_vm_is_made_with_several_disks_and_network_cards(host: Host):
    Host.objects.update(links=[{"name": "stw1", "kind": "bridge"}])
    host.refresh_from_db()
    first_boot = FirstBoot(user="ann", password="long enough")

    operation = services.vm_create(
        user_make(),
        name="web-1",
        image=image_make(),
        host=host,
        more_disks_gib=[2, 0.5],
        more_bridges=["stw1"],
        first_boot=first_boot,
        **SIZE,
    )

    vm = VirtualMachine.objects.get()
    assert [(disk["target"], disk["size_gib"]) for disk in vm.disks[:3]] == [("vda", 1), ("vdb", 2), ("vdc", 0.5)]
    assert vm.disks[3]["target"] == "vdd" and vm.disk_gib == 3.5
    assert [bool(disk["image"]) for disk in operation.parameters["spec"]["disks"]] == [True, False, False, False]
    assert len({nic["mac"] for nic in vm.nics}) == 2 and "stw1" in vm.bridges


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"more_disks_gib": [float("nan")]}, "A disk has"),
        ({"more_disks_gib": [0.001]}, "A disk has"),
        ({"more_disks_gib": [1] * 9}, "at most 8"),
        ({"more_disks_gib": [200]}, "larger than the pool"),
        ({"more_bridges": ["<x/>"]}, "has no bridge"),
    ],
)
def test_further_devices_that_cannot_be_are_refused(host: Host, more: dict[str, Any], sentence: str):
    with pytest.raises(Invalid, match=sentence):
        services.vm_create(user_make(), name="web-1", image=image_make(), host=host, **SIZE, **more)


def test_uefi_is_offered_where_the_host_has_it(host: Host):
    with pytest.raises(Refused, match="cannot give a VM UEFI"):
        services.vm_create(user_make(), name="web-1", image=image_make(), firmware="uefi", host=host, **SIZE)


def test_a_vm_that_is_on_gets_no_drive(host: Host, iso: Image):
    with pytest.raises(Refused, match="no CD-ROM drive"):
        services.iso_insert(user_make(), vm_make(host), image=iso)


def test_an_adopted_vm_keeps_its_drive_as_it_is(host: Host, iso: Image):
    with pytest.raises(Refused, match="not made by Stowage"):
        services.iso_insert(user_make(), vm_make(host, has_cdrom=True, is_adopted=True), image=iso)


def test_a_disk_image_is_no_iso_and_a_viewer_inserts_nothing(host: Host, iso: Image):
    vm = vm_make(host, has_cdrom=True)

    with pytest.raises(Invalid, match="not an ISO"):
        services.iso_insert(user_make(), vm, image=image_make())
    with pytest.raises(Forbidden):
        services.iso_insert(user_make("viewer"), vm, image=iso)


def test_an_empty_drive_is_not_emptied(host: Host):
    with pytest.raises(Refused, match="nothing in a CD-ROM drive"):
        services.iso_eject(user_make(), vm_make(host, has_cdrom=True))


def test_a_vm_by_uefi_has_no_snapshot(host: Host):
    with pytest.raises(Refused, match="UEFI"):
        services.snapshot_take(user_make(), vm_make(host, firmware="uefi"), name="before")


def test_the_page_names_what_is_in_the_drive(host: Host, iso: Image, client: Client):
    path = f"/var/lib/stowage/images/{iso.pk}-{'a' * 16}.iso"
    vm = vm_make(host, has_cdrom=True, cdrom_path=path)

    page = client_of("operator").get(f"/workloads/{vm.pk}/").content.decode()

    assert iso_of(path) == iso
    assert '<strong class="wrap-any">debian-iso</strong>' in page
    assert "firmware" not in page.lower() or "BIOS" in page


def test_a_vm_goes_where_secure_boot_and_a_tpm_are(host: Host):
    able = host_make("able", facts={"firmwares": ["bios", "efi", "efi-secure"], "tpms": ["tpm-crb"]})
    pool_mount_make(able, Pool.objects.create(pool_id="p8", name="other"), LOCAL_POOL)
    wish = {"image": image_make(), "firmware": "uefi-secure", "has_tpm": True, **SIZE}

    operation = services.vm_create(user_make(), name="web-1", **wish)

    assert operation.host == able
    assert operation.parameters["spec"]["firmware"] == "uefi-secure" and operation.parameters["spec"]["has_tpm"]
    Host.objects.filter(pk=able.pk).update(facts={"firmwares": ["bios", "efi"], "tpms": ["tpm-crb"]})
    with pytest.raises(Refused, match="secure boot"):
        services.vm_create(user_make(), name="web-2", **wish)


def test_a_vm_does_not_move_to_a_host_without_a_tpm(host: Host):
    able = host_make("able", rack=host.rack, facts={"tpms": ["tpm-crb"]})
    vm = vm_make(able, has_tpm=True)

    with pytest.raises(Refused, match="cannot give a VM a TPM"):
        services.workload_move(user_make(), vm, target=host)


def test_a_vm_with_a_tpm_has_no_snapshot(host: Host):
    with pytest.raises(Refused, match="TPM"):
        services.snapshot_take(user_make(), vm_make(host, has_tpm=True), name="before")
