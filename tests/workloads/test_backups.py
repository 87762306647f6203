"""Backups of VMs: what is asked of the host, what is kept, what is refused, and what a restored VM is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hosts.credentials import password_decrypt
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host
from hosts.operations.lease import lease_release
from tests.actors import client_of
from tests.factories import backup_make, container_make, host_make, user_make, vm_make
from workloads import services
from workloads.backup_chains import chain_of, chains_beyond
from workloads.backup_manifest import row_of
from workloads.models import Backup, BackupFolder, Schedule, VirtualMachine, VmSeed
from workloads.templatetags.schedule_words import does

pytestmark = pytest.mark.django_db
WINDOW = {"window_minutes": "15"}


@pytest.fixture
def host() -> Host:
    return host_make()


@pytest.fixture
def vm(host: Host) -> VirtualMachine:
    return vm_make(host, "web-1")


def days_ago(days: int) -> dict[str, Any]:
    return {"taken_at": timezone.now() - timedelta(days=days)}


def test_an_incremental_one_adds_to_the_newest_that_its_host_noted_changes_from(vm: VirtualMachine):
    noted = backup_make(vm, **days_ago(2))
    backup_make(vm, checkpoint="", is_at_rest=True, **days_ago(1))

    operation = services.vm_back_up(user_make(), vm)

    since = operation.parameters["since"]
    assert since["backup"] == str(noted.pk) and since["sizes"] == {"vda": 2**30}
    assert operation.parameters["kind"] == "incremental"
    with pytest.raises(Refused, match="back up VM"):
        services.backup_delete(user_make(), noted)


@pytest.mark.parametrize("state", ["damaged", "removing"])
def test_nothing_is_added_to_a_chain_with_a_bad_link(vm: VirtualMachine, state: str):
    full = backup_make(vm, state=state, **days_ago(2))
    backup_make(vm, parent=full, **days_ago(1))

    assert services.vm_back_up(user_make(), vm).parameters["since"] is None


def test_one_of_another_host_is_no_ground(vm: VirtualMachine):
    backup_make(vm, host=host_make())

    assert services.vm_back_up(user_make(), vm).parameters["since"] is None


def test_what_the_guest_was_told_at_its_first_boot_is_not_kept(vm: VirtualMachine):
    seed = {"target": "vdb", "path": f"/var/lib/libvirt/images/{vm.pk}-seed.img", "format": "raw", "size_gib": 0.001}
    vm.disks.append({**seed, "pool": "local"})
    for disk in vm.disks:
        disk.setdefault("pool", "local")
    vm.save()

    spec = services.vm_back_up(user_make(), vm).parameters["spec"]

    assert [disk["target"] for disk in spec["disks"]] == ["vda"]


@pytest.mark.parametrize(
    ("values", "field"), [({"kind": "half"}, "kind"), ({"keep": -1}, "keep"), ({"keep": 1001}, "keep")]
)
def test_a_wish_that_makes_no_sense_is_refused(vm: VirtualMachine, values: dict[str, Any], field: str):
    with pytest.raises(Invalid) as refusal:
        services.vm_back_up(user_make(), vm, **values)
    assert refusal.value.field == field


def test_a_container_and_an_adopted_vm_have_none(host: Host):
    with pytest.raises(Invalid, match="only a VM can be backed up"):
        services.vm_back_up(user_make(), container_make(host))
    with pytest.raises(Refused, match="not made by Stowage"):
        services.vm_back_up(user_make(), vm_make(host, "found", is_adopted=True))


def test_a_viewer_may_not(vm: VirtualMachine):
    backup, viewer = backup_make(vm), user_make("viewer")
    for act in (
        lambda: services.vm_back_up(viewer, vm),
        lambda: services.backup_verify(viewer, backup),
        lambda: services.backup_delete(viewer, backup),
        lambda: services.backup_restore(viewer, backup, name="x"),
    ):
        with pytest.raises(Forbidden):
            act()
    with pytest.raises(Forbidden):
        services.backup_folder_set(user_make("operator"), vm.host, "/srv/x")


# --- what is kept


def test_the_newest_chains_stay_whole_and_older_ones_go_children_first(vm: VirtualMachine):
    old = backup_make(vm, **days_ago(9))
    old_part = backup_make(vm, parent=old, **days_ago(8))
    middle = backup_make(vm, **days_ago(7))
    new = backup_make(vm, **days_ago(6))
    new_part = backup_make(vm, parent=new, **days_ago(5))
    rows = [old, old_part, middle, new, new_part]

    assert chains_beyond(rows, 0) == []
    assert [row.pk for row in chains_beyond(rows, 2)] == [old_part.pk, old.pk]
    assert set(chains_beyond(rows, 1)) == {old_part, old, middle}
    assert chains_beyond(rows, 9) == []


def test_a_chain_is_as_new_as_what_was_added_to_it_last(vm: VirtualMachine):
    first = backup_make(vm, **days_ago(9))
    between = backup_make(vm, **days_ago(5))
    backup_make(vm, parent=first, **days_ago(1))

    assert chains_beyond(Backup.objects.all(), 1) == [between]


def test_a_chain_with_a_backup_in_use_stays_for_now(vm: VirtualMachine):
    old = backup_make(vm, **days_ago(9))
    part = backup_make(vm, parent=old, **days_ago(8))
    backup_make(vm, **days_ago(1))

    assert chains_beyond(Backup.objects.all(), 1, {str(part.pk)}) == []


def test_what_an_earlier_removal_left_goes_and_takes_no_place(vm: VirtualMachine):
    left = backup_make(vm, state="removing", **days_ago(1))
    kept = backup_make(vm, **days_ago(5))

    assert chains_beyond(Backup.objects.all(), 1) == [left]
    assert chains_beyond(Backup.objects.all(), 0) == [left]
    ground = backup_make(vm, state="removing", **days_ago(4))
    backup_make(vm, parent=ground, **days_ago(3))
    assert ground not in chains_beyond(Backup.objects.all(), 0) and kept not in chains_beyond(Backup.objects.all(), 0)


def test_one_that_others_rest_on_is_not_deleted(vm: VirtualMachine):
    full = backup_make(vm, **days_ago(2))
    part = backup_make(vm, parent=full)

    with pytest.raises(Refused, match="rests on this one"):
        services.backup_delete(user_make(), full)
    full.refresh_from_db()
    assert full.state == "ready"
    services.backup_delete(user_make(), part)
    part.refresh_from_db()
    assert part.state == "removing"


# --- restoring


def test_a_restored_vm_is_another_one(vm: VirtualMachine, host: Host):
    full = backup_make(vm, **days_ago(2))
    part = backup_make(vm, parent=full)
    vm.delete()

    operation = services.backup_restore(user_make(), part, name="web-back")

    row = VirtualMachine.objects.get(name="web-back")
    assert [link["backup"] for link in operation.parameters["chain"]] == [str(full.pk), str(part.pk)]
    assert row.pk != part.vm_uuid and row.nics[0]["mac"] != "52:54:00:00:00:01" and row.bridges == ["stw0"]
    assert (row.state, row.desired, row.memory_mib, row.disk_gib) == ("creating", "stopped", 256, 1)
    with pytest.raises(Refused, match="restore VM"):
        services.backup_delete(user_make(), full)
    lease_release(operation)
    assert chain_of(part) == [full, part]


def test_a_guest_of_cloud_init_knows_itself_again_by_its_new_address(vm: VirtualMachine):
    network = '{"match": {"macaddress": "52:54:00:00:00:01"}}'
    spec = {"nics": [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}], "disks": [], "vcpus": 1, "memory_mib": 64}
    backup = backup_make(vm, spec=spec | {"seed": {"meta-data": "instance-id: x", "network-config": network}})

    operation = services.backup_restore(user_make(), backup, name="web-back")

    row, seed = VirtualMachine.objects.get(name="web-back"), VmSeed.objects.get()
    files = json.loads(password_decrypt(bytes(seed.files_encrypted)))
    assert files["meta-data"] == "instance-id: x" and files["user-data"].startswith("#cloud-config")
    assert files["network-config"] == network.replace("52:54:00:00:00:01", row.nics[0]["mac"])
    assert row.disks[-1]["path"] == operation.parameters["seed_path"] and not row.has_seed


def test_without_room_a_name_or_a_sound_chain_there_is_none(vm: VirtualMachine, host: Host):
    backup = backup_make(vm)
    operator = user_make()
    with pytest.raises(Invalid, match="is the name of"):
        services.backup_restore(operator, backup, name="web-1")
    with pytest.raises(Invalid):
        services.backup_restore(operator, backup, name="../x")
    huge = backup_make(vm, files=[{**backup.files[0], "virtual_bytes": 2**40}])
    with pytest.raises((Refused, Invalid)):
        services.backup_restore(operator, huge, name="web-2")
    part = backup_make(vm, parent=backup)
    Backup.objects.filter(pk=backup.pk).update(state="damaged", sentence="vda.qcow2 is gone.")
    with pytest.raises(Refused, match="A part of the backup is damaged"):
        services.backup_restore(operator, part, name="web-2")
    with pytest.raises(Refused, match=r"It is damaged: vda.qcow2 is gone"):
        services.backup_restore(operator, backup, name="web-2")
    assert not VirtualMachine.objects.filter(name="web-2").exists()


def test_a_backup_outlives_its_vm_and_its_host(vm: VirtualMachine, host: Host):
    backup = backup_make(vm, host=None)

    with pytest.raises(Refused, match="is gone"):
        services.backup_verify(user_make(), backup)


# --- folders and pages


@pytest.mark.parametrize("path", ["srv", "/", "/srv/../etc", "//srv", "/srv\n", "/" + "x" * 300])
def test_a_folder_is_a_full_plain_path(host: Host, path: str):
    admin = user_make("administrator")
    if path == "/srv\n":
        services.backup_folder_set(admin, host, path)
        assert BackupFolder.objects.get().path == "/srv"
        return
    with pytest.raises(Invalid):
        services.backup_folder_set(admin, host, path)


def test_backups_go_to_the_folder_that_was_set(vm: VirtualMachine, host: Host):
    admin = user_make("administrator")
    services.backup_folder_set(admin, host, "/srv/backups/")
    assert services.vm_back_up(admin, vm).parameters["folder"] == "/srv/backups"
    services.backup_folder_set(admin, host, "")
    assert not BackupFolder.objects.exists()


def test_the_pages_show_them_and_say_why_not(vm: VirtualMachine):
    full = backup_make(vm, **days_ago(2))
    part = backup_make(vm, parent=full, state="damaged", sentence="vda.qcow2 is gone.")
    client = client_of("operator")

    for url in (f"/workloads/{vm.pk}/", "/backups/", "/backups/?q=web"):
        text = client.get(url).content.decode()
        assert "rests on this one" in text and "vda.qcow2 is gone." in text and f"/backups/{full.pk}/restore/" in text
    assert "No backup of a VM named like this" in client.get("/backups/?q=nobody").content.decode()
    begun = client.post(f"/workloads/{vm.pk}/backups/", {"kind": "full"})
    assert begun.status_code == 302 and begun["Location"].startswith("/operations/")
    assert "damaged" in client.get(f"/backups/{part.pk}/restore/").content.decode()
    answer = client.post(f"/backups/{full.pk}/restore/", {"name": "web-1"})
    assert answer.status_code == 422 and "is the name of" in answer.content.decode()
    assert client.post(f"/backups/{full.pk}/restore/", {"name": "web-2"})["Location"].startswith("/operations/")


def test_the_page_of_all_asks_no_more_for_more(vm: VirtualMachine, django_assert_max_num_queries: Any):
    for _ in range(20):
        backup_make(vm)
    client = client_of("operator")
    with django_assert_max_num_queries(20):
        client.get("/backups/")


# --- schedules


def test_a_schedule_backs_up_and_keeps_as_many_as_it_says(vm: VirtualMachine):
    admin = user_make("operator")
    wish = {"kind": "full", "keep": 3}
    schedule = services.schedule_create(admin, name="nightly", verb="back_up", workload=vm, wish=wish, cron="0 2 * * *")
    now = timezone.now()
    Schedule.objects.update(next_due_at=now)

    run = services.schedule_ring(schedule.pk, now)

    assert run is not None and run.operation is not None and run.sentence == ""
    assert (run.operation.kind, run.operation.parameters["kind"], run.operation.parameters["keep"]) == (
        "back_up_vm",
        "full",
        3,
    )
    assert services.schedule_ring(schedule.pk, now) is None
    assert does(schedule) == "back up web-1 (full, keeping 3 full ones)"


def test_a_schedule_that_could_never_back_up_is_not_made(vm: VirtualMachine, host: Host):
    operator, when = user_make(), {"name": "x", "verb": "back_up", "cron": "0 2 * * *"}
    for workload, wish, field in (
        (container_make(host), {}, "workload"),
        (vm, {"kind": "half"}, "kind"),
        (vm, {"keep": 5000}, "keep"),
    ):
        with pytest.raises(Invalid) as refusal:
            services.schedule_create(operator, workload=workload, wish=wish, **when)
        assert refusal.value.field == field


def test_the_form_of_schedules_asks_what_a_backup_shall_hold(vm: VirtualMachine):
    client = client_of("operator")
    said = {"name": "nightly", "verb": "back_up", "workload": str(vm.pk), "kind": "full", "keep": "2"}
    answer = client.post("/schedules/new/", said | {"cron": "0 2 * * *", "time_zone": "UTC", "missed": "skip"} | WINDOW)

    assert answer.status_code == 302, answer.content.decode()
    assert Schedule.objects.get().wish == {"kind": "full", "keep": 2}
    body = {"name": "weekly", "verb": "back_up", "workload": str(vm.pk), "cron": "0 2 * * 0"}
    made = client.post("/api/schedules", body | {"backup": {"kind": "full", "keep": 4}}, "application/json")
    assert made.status_code == 201, made.content
    assert Schedule.objects.get(name="weekly").wish == {"kind": "full", "keep": 4}
    assert "keeping 4 full ones" in client.get("/schedules/").content.decode()


@pytest.mark.parametrize(
    "harm",
    [
        {"name": "../x"},
        {"kind": "half"},
        {"backup": "x"},
        {"files": []},
        {"files": [{"target": "/etc/passwd"}]},
        {"taken_at_s": float("inf")},
        {"taken_at_s": -1},
        {"kind": "incremental", "parent": None},
        {"spec": None},
        {"spec": {"vcpus": True, "memory_mib": 1, "nics": [], "disks": []}},
    ],
)
def test_a_manifest_that_somebody_made_up_is_not_believed(vm: VirtualMachine, host: Host, harm: dict[str, Any]):
    row = backup_make(vm)
    told = {"backup": str(row.pk), "vm": str(vm.pk), "name": "web-1", "kind": "full", "parent": None}
    told |= {
        "checkpoint": row.checkpoint,
        "taken_at_s": 1.0,
        "is_at_rest": False,
        "files": row.files,
        "spec": row.spec,
        "seed": {},
    }

    assert row_of(told, host, "/srv").checkpoint == ""
    with pytest.raises(Invalid):
        row_of({**told, **harm}, host, "/srv")


def test_nobody_looks_into_a_folder_of_a_host_that_is_off(host: Host):
    Host.objects.update(power="off")
    host.refresh_from_db()
    with pytest.raises(Refused, match="powered off"):
        services.backups_find(user_make(), host)


def test_a_restored_vm_starts_on_the_hardware_that_its_disks_were_made_for(vm: VirtualMachine, host: Host):
    spec = {"firmware": "uefi", "machine": "q35", "cpu_model": "qemu64", "vcpus": 1, "memory_mib": 64}
    backup = backup_make(vm, spec=spec)
    with pytest.raises(Refused, match="cannot give a VM UEFI"):
        services.backup_restore(user_make(), backup, name="web-back")
    Host.objects.filter(pk=host.pk).update(facts={"firmwares": ["efi"]})

    services.backup_restore(user_make(), backup, name="web-back")

    row = VirtualMachine.objects.get(name="web-back")
    assert (row.firmware, row.machine, row.cpu_model) == ("uefi", "q35", "qemu64")
