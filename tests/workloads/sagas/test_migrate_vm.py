"""Moves that end in the middle: one copy runs, wherever it is, and the database says so."""

from __future__ import annotations

import pytest

from hosts.errors import Refused
from hosts.models import Lease, Operation
from hosts.operations.intervene import operation_cancel_request, operation_retry_request
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import Place, place_make, vm_in
from workloads import services
from workloads.models import Workload

State = Operation.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def place() -> Place:
    return place_make()


def move(place: Place, vm: Workload) -> Operation:
    return services.workload_move(place.user, vm, target=place.beta)


def owner(vm: Workload) -> str:
    host = Workload.objects.get(pk=vm.pk).host
    assert host is not None
    return host.name


def test_a_lost_finish_reply_with_copied_disks_leaves_the_vm_on_its_source(place: Place):
    """Pitfalls M9: the source runs on, the destination holds a paused copy."""
    vm = vm_in(place)
    place.world.fail("vm.migrate", "half")

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.FAILED
    assert "stayed where it was" in operation.message
    assert place.world.places(str(vm.pk)) == {"alpha": "running"}
    assert owner(vm) == "alpha"
    left = [path for pool in place.world.hosts["beta"].pools for path in pool.files if str(vm.pk) in path]
    assert all(path.endswith(".stowage-left") for path in left)


def test_a_lost_finish_reply_with_a_shared_disk_adopts_the_destination(place: Place):
    """Pitfalls M7: the source is paused for ever; it is cut off before the destination runs."""
    vm = vm_in(place, shared=True)
    place.world.fail("vm.migrate", "half")
    alpha = place.world.hosts["alpha"]

    def paused_at_the_source() -> None:
        domain = alpha.domains.get(str(vm.pk))
        if str(vm.pk) in place.world.hosts["beta"].domains and domain and domain.state == "running":
            domain.state, domain.reason = "migrating", "paused (migrating)"

    place.harness.watch = paused_at_the_source

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.DONE, operation.message
    assert place.world.places(str(vm.pk)) == {"beta": "running"}
    assert owner(vm) == "beta"


def test_a_move_that_libvirt_reports_as_failed_though_it_arrived_is_taken_for_done(place: Place):
    vm = vm_in(place)
    place.world.fail("vm.migrate", "after")

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.DONE, operation.message
    assert place.world.places(str(vm.pk)) == {"beta": "running"}


def test_a_destination_that_falls_silent_after_the_move_is_asked_until_it_answers(place: Place):
    vm = vm_in(place)
    place.harness.troubles = [Trouble("ask_target", "silent", 5)]

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.DONE
    assert place.world.places(str(vm.pk)) == {"beta": "running"}


def test_a_destination_that_never_answers_leaves_the_move_to_a_person_who_may_retry(place: Place):
    vm = vm_in(place)
    place.harness.troubles = [Trouble("ask_target", "before", 10**6)]
    operation = place.harness.run(move(place, vm))
    assert operation.state == State.STUCK
    assert Lease.objects.filter(operation=operation).exists()

    place.harness.troubles = []
    operation_retry_request(operation)
    operation = place.harness.run(operation)

    assert operation.state == State.DONE
    assert place.world.places(str(vm.pk)) == {"beta": "running"}


def test_a_move_that_is_not_over_yet_is_asked_about_again_under_another_step_key(place: Place):
    vm = vm_in(place)
    machines = place.harness.plane("host.beta").drivers.get("machines", lambda _: None)
    locate, calls = machines.locate, []

    def still_migrating(uuid: str):
        calls.append(uuid)
        found = locate(uuid)
        if len(calls) < 3 and found.present:
            return type(found)(True, "migrating", "paused (migrating)")
        return found

    machines.locate = still_migrating

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.DONE
    assert len(calls) >= 3


def test_a_vm_found_running_on_both_hosts_is_left_to_a_person(place: Place):
    vm = vm_in(place)
    place.world.fail("vm.migrate", "half")

    def resumed_behind_our_back() -> None:
        domain = place.world.hosts["beta"].domains.get(str(vm.pk))
        if domain is not None:
            domain.state, domain.reason = "running", "running (unpaused)"

    place.harness.watch = resumed_behind_our_back

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.STUCK
    assert "both hosts" in operation.message


def test_a_cancel_after_the_owner_changed_is_too_late_and_says_so(place: Place):
    vm = vm_in(place)
    operation = move(place, vm)
    refused: list[str] = []

    def cancel(_harness: object) -> None:
        if owner(vm) == "beta" and not refused:
            try:
                operation_cancel_request(operation)
            except Refused as error:
                refused.append(error.message)

    place.harness.before_message = cancel
    operation = place.harness.run(operation)

    assert operation.state == State.DONE
    assert "Too late" in refused[0]


def test_a_disk_in_a_pool_that_both_hosts_share_is_not_copied(place: Place):
    vm = vm_in(place, shared=True)

    operation = place.harness.run(move(place, vm))

    assert operation.entries.get(kind="done", step="choose_disks").data["output"]["targets"] == []
    assert operation.state == State.DONE


def test_a_missing_bridge_on_the_target_stops_the_move_before_anything_is_touched(place: Place):
    vm = vm_in(place)
    place.world.hosts["beta"].bridges.clear()
    before = place.world.snapshot()

    operation = place.harness.run(move(place, vm))

    assert operation.state == State.FAILED
    assert "bridge" in operation.message
    assert place.world.snapshot() == before


def test_the_moved_vm_did_not_boot_again(place: Place):
    vm = vm_in(place)
    boots = place.world.hosts["alpha"].domains[str(vm.pk)].boots

    place.harness.run(move(place, vm))

    assert place.world.hosts["beta"].domains[str(vm.pk)].boots == boots
