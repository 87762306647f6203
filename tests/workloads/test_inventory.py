"""An observation applied to the database: seen, adopted, gone, moved by hand, doubted."""

from __future__ import annotations

import uuid as uuids
from datetime import timedelta

import pytest
from django.utils import timezone

from hosts.inventory import reach_of
from hosts.models import AuditRecord, Host, Lease, Operation
from tests.datacenter.world import a_host, a_vm, observation, observed_vm
from workloads.inventory import Outcome, host_silent, safe_name, seen_from, workloads_observe
from workloads.models import Container, Sighting, VirtualMachine, Workload

pytestmark = pytest.mark.django_db


def see(host: Host, *workloads: dict, **fields: object) -> Outcome:
    message = observation(host, *workloads, **fields)
    return workloads_observe(host, message, reach_of(message), timezone.now())


def under_operation(workload: Workload) -> Operation:
    operation = Operation.objects.create(
        kind="migrate_vm", subject_kind="vm", subject_id=str(workload.pk), subject_name=workload.name
    )
    Lease.objects.create(thing_kind="vm", thing_id=str(workload.pk), operation=operation)
    return operation


def test_an_unknown_vm_is_adopted_with_its_labels():
    host = a_host("alpha")
    row = observed_vm(labels={"stowage.pinned": "true", "stowage.anti-affinity": "db"}, memory_mib=512)

    outcome = see(host, row)

    vm = VirtualMachine.objects.get(pk=row["uuid"])
    assert (vm.host, vm.state, vm.memory_mib, vm.is_adopted) == (host, "running", 512, True)
    assert (vm.is_pinned, vm.anti_affinity_group, vm.desired) == (True, "db", "any")
    assert outcome.changed == {vm.pk}
    assert AuditRecord.objects.get(verb="adopt").user_name == "system"


def test_an_unknown_container_is_adopted():
    host = a_host("alpha")
    row = {"kind": "container", "uuid": str(uuids.uuid4()), "name": "web", "state": "running", "image": "web:1"}

    see(host, row | {"engine_id": "ab" * 32, "ports": [{"host": 80, "container": 8080}]})

    assert Container.objects.get(pk=row["uuid"]).image_reference == "web:1"


def test_a_host_that_is_still_enrolling_has_nothing_adopted():
    see(a_host("alpha", lifecycle=Host.Lifecycle.ENROLLING), observed_vm())

    assert not Workload.objects.exists()


def test_what_an_operation_is_making_is_not_adopted_a_second_time():
    host, row = a_host("alpha"), observed_vm()
    Operation.objects.create(kind="create_vm", subject_kind="vm", subject_id=row["uuid"], subject_name="x")

    outcome = see(host, row)

    assert not Workload.objects.exists()
    assert not outcome.is_settled


def test_a_late_observation_does_not_bring_a_deleted_vm_back():
    host, row = a_host("alpha"), observed_vm()
    Operation.objects.create(
        kind="delete_vm", subject_kind="vm", subject_id=row["uuid"], subject_name="x", finished_at=timezone.now()
    )

    see(host, row)

    assert not Workload.objects.exists()


def test_a_vm_destroyed_behind_our_back_is_shown_stopped_with_its_reason():
    host = a_host("alpha")
    vm = a_vm("web", host)

    see(host, observed_vm(vm, state="stopped", reason="stopped (destroyed)"))

    vm.refresh_from_db()
    assert (vm.state, vm.state_reason) == ("stopped", "stopped (destroyed)")


def test_what_the_owner_lists_no_more_is_gone_but_its_row_stays():
    host = a_host("alpha")
    vm = a_vm("web", host)

    see(host)

    vm.refresh_from_db()
    assert vm.state == "gone"
    assert "alpha answers and does not have it" in vm.state_reason


def test_a_hypervisor_that_does_not_answer_makes_its_vms_unknown_and_not_gone():
    host = a_host("alpha")
    vm = a_vm("web", host)

    see(host, hypervisor={"ok": False, "sentence": "libvirtd does not answer."})

    vm.refresh_from_db()
    assert (vm.state, vm.state_reason) == ("unknown", "libvirtd does not answer.")


def test_what_was_read_before_an_operation_ended_is_older_news_than_its_end():
    host = a_host("alpha")
    vm = a_vm("web", host, state="stopped")
    Operation.objects.create(
        kind="stop_workload",
        subject_kind="vm",
        subject_id=str(vm.pk),
        subject_name="web",
        finished_at=timezone.now(),
        reported_at={"alpha": 100.0},
    )

    early = see(host, observed_vm(vm, state="running"), read_at={"vm": 99.0})
    vm.refresh_from_db()
    assert (vm.state, early.is_settled) == ("stopped", False)
    assert not Sighting.objects.filter(state="running").exists()

    see(host, observed_vm(vm, state="running"), read_at={"vm": 101.0})
    vm.refresh_from_db()
    assert vm.state == "running"  # somebody started it again by hand


def test_a_workload_held_by_an_operation_is_not_judged_and_is_looked_at_again():
    host = a_host("alpha")
    vm = a_vm("web", host)
    under_operation(vm)

    outcome = see(host)

    vm.refresh_from_db()
    assert vm.state == "running"
    assert not outcome.is_settled


def test_a_vm_moved_by_hand_is_followed_and_the_audit_says_where_it_was_seen():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)
    see(alpha, observed_vm(vm))

    see(beta, observed_vm(vm))
    see(alpha)

    vm.refresh_from_db()
    assert (vm.host, vm.state) == (beta, "running")
    assert AuditRecord.objects.get(verb="follow").detail["why"] == "seen on beta"


def test_a_vm_whose_stopped_definition_stayed_behind_is_followed_too():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)

    see(beta, observed_vm(vm))
    see(alpha, observed_vm(vm, state="stopped", reason="shut off (migrated)"))

    vm.refresh_from_db()
    assert vm.host == beta


def test_no_host_follows_to_one_that_does_not_answer():
    alpha = a_host("alpha")
    beta = a_host("beta")
    vm = a_vm("web", alpha)
    see(beta, observed_vm(vm))
    Host.objects.filter(pk=beta.pk).update(last_seen_at=timezone.now() - timedelta(minutes=5))

    see(alpha)

    vm.refresh_from_db()
    assert (vm.host, vm.state) == (alpha, "gone")


def test_two_running_copies_raise_an_alarm_that_names_both_hosts():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)

    see(beta, observed_vm(vm))
    see(alpha, observed_vm(vm))

    vm.refresh_from_db()
    assert vm.state_reason == "ALARM: it runs on 2 hosts at once: alpha, beta."


def test_a_copy_that_is_paused_elsewhere_is_no_second_running_one():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)

    see(beta, observed_vm(vm, state="paused", reason="paused (user)"))
    see(alpha, observed_vm(vm))

    vm.refresh_from_db()
    assert "ALARM" not in vm.state_reason


def test_an_equal_observation_changes_nothing():
    host = a_host("alpha")
    vm = a_vm("web", host)
    see(host, observed_vm(vm))

    assert see(host, observed_vm(vm)).changed == frozenset()


def test_a_hundred_known_workloads_cost_a_fixed_number_of_statements(django_assert_max_num_queries):
    host = a_host("alpha")
    rows = [observed_vm(a_vm(f"web-{number}", host)) for number in range(100)]
    see(host, *rows)

    with django_assert_max_num_queries(12):
        see(host, *rows)


@pytest.mark.parametrize(
    "row",
    [
        None,
        "text",
        {},
        {"kind": "vm"},
        {"kind": "vm", "uuid": "../../etc"},
        {"kind": "vm", "uuid": ["a"]},
        {"kind": "host", "uuid": str(uuids.uuid4())},
    ],
)
def test_a_row_without_kind_or_uuid_makes_no_sense(row: object):
    assert seen_from(row) is None


def test_hostile_fields_are_cut_to_size_and_stored_harmlessly():
    host = a_host("alpha")
    row = observed_vm(
        name="<script>../../\x00",
        state={"a": 1},
        reason="\x1b]52;c;x\x07" * 100,
        vcpus=float("nan"),
        memory_mib=10**30,
        disk_gib="many",
        disks=[{"path": "/x" * 1000, "size_gib": float("inf")}, "junk"] * 500,
        labels={"stowage.anti-affinity": "x" * 500},
    )

    see(host, row)

    vm = VirtualMachine.objects.get(pk=row["uuid"])
    assert vm.name == "script_.._..__"
    assert (vm.state, vm.cpu_cores, vm.memory_mib, vm.disk_gib) == ("unknown", 0, 2**31 - 1, 0)
    assert "\x1b" not in vm.state_reason
    assert len(vm.disks) <= 200
    assert len(vm.anti_affinity_group) == 63


def test_a_name_of_nothing_but_bad_characters_still_gives_a_name():
    uuid = uuids.UUID(int=5)

    assert safe_name("...", uuid) == "unnamed-00000000"


def test_workloads_of_a_silent_host_are_unknown_and_stay_on_it():
    host = a_host("alpha")
    vm = a_vm("web", host)

    assert host_silent(host) == 1

    vm.refresh_from_db()
    assert (vm.state, vm.host) == ("unknown", host)


def test_workloads_of_a_host_that_is_off_are_stopped_and_run_nowhere():
    host = a_host("alpha", power=Host.Power.OFF)
    vm = a_vm("web", host)
    see(host, observed_vm(vm))

    host_silent(host)

    vm.refresh_from_db()
    assert (vm.state, vm.state_reason) == ("stopped", "alpha is switched off.")
    assert Sighting.objects.get().state == "stopped"


def test_numbers_that_no_machine_could_have_stop_nothing():
    host = a_host("alpha")
    row = observed_vm(vcpus=10**400, memory_mib=-(10**400))

    see(host, row)

    vm = VirtualMachine.objects.get(pk=row["uuid"])
    assert vm.cpu_cores > 0 and vm.memory_mib == 0
