"""Lost hosts: who is one, what is asked of whom, and that nothing is started before a fence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from datacenter.models import Policy, RecoveredWorkload, Recovery
from datacenter.services.recovering import recoveries_sweep, recovery_begin, recovery_declare_dead
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Host, Operation, Pool
from tests.factories import user_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import Place, container_in, place_make, vm_in
from workloads.models import Sighting, VirtualMachine, Workload

pytestmark = pytest.mark.django_db
State = Recovery.State


def silent_since(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def a_place(mode: str = "automatic", *, silent_s: float = 90) -> tuple[Place, VirtualMachine]:
    """Alpha, silent, with a VM of our own on shared storage; beta is well."""
    place = place_make()
    Policy.objects.create(site=place.alpha.rack.site, recover_lost_hosts=mode)
    vm = VirtualMachine.objects.get(pk=vm_in(place, shared=True).pk)
    pool = Pool.objects.filter(name="shared").get()
    vm.disks[0] |= {"shared_pool_id": pool.pool_id, "pool": pool.name}
    vm.nics = [{"bridge": "stw0", "mac": "52:54:00:00:00:01"}]
    vm.desired = "running"
    vm.save()
    lost = {"last_seen_at": silent_since(silent_s), "power_read_at": silent_since(600), "power": "unknown"}
    Host.objects.filter(pk=place.alpha.pk).update(**lost)
    Host.objects.filter(pk=place.beta.pk).update(
        last_seen_at=timezone.now(), links=[{"name": "stw0", "kind": "bridge"}]
    )
    return place, vm


def run_operations(place: Place) -> None:
    for operation in Operation.objects.filter(state__in=["queued", "running"]):
        place.harness.run(operation)


def rounds(place: Place, count: int = 4) -> Recovery:
    for _ in range(count):
        recoveries_sweep()
        run_operations(place)
    return Recovery.objects.get()


def test_a_host_that_is_silent_for_long_is_fenced_and_its_vm_runs_elsewhere_once():
    place, vm = a_place()

    recovery = rounds(place)

    assert recovery.state == State.DONE and recovery.fenced_at and recovery.finished_at
    assert not place.world.hosts["alpha"].powered
    states = place.world.places(str(vm.pk))
    assert states == {"alpha": "stopped", "beta": "running"}
    assert Workload.objects.get(pk=vm.pk).host_id == place.beta.pk
    assert [row.state for row in recovery.workloads.all()] == ["done"]
    assert any("before the power was cut" in text for text in recovery.evidence)


def test_a_host_that_is_not_silent_for_long_enough_is_not_lost():
    a_place(silent_s=40)

    recoveries_sweep()

    assert not Recovery.objects.exists() and not Operation.objects.exists()


@pytest.mark.parametrize("change", [{"desired_power": "off"}, {"is_in_maintenance": True}, {"lifecycle": "enrolling"}])
def test_a_host_that_need_not_answer_is_not_lost(change: dict[str, Any]):
    place, _ = a_place()
    Host.objects.filter(pk=place.alpha.pk).update(**change)

    recoveries_sweep()

    assert not Recovery.objects.exists()


def test_where_the_policy_says_never_nothing_is_begun():
    a_place("off")

    recoveries_sweep()

    assert not Recovery.objects.exists()


def test_where_the_policy_says_ask_a_person_begins_it():
    place, vm = a_place("ask")

    assert rounds(place).state == State.ASKED and not Operation.objects.exists()
    recovery_begin(place.user, Recovery.objects.get())

    assert rounds(place).state == State.DONE
    assert place.world.places(str(vm.pk))["beta"] == "running"


def test_two_sweeps_at_once_begin_it_once():
    place, _ = a_place()

    recoveries_sweep()
    recoveries_sweep()

    assert Recovery.objects.count() == 1
    assert Operation.objects.filter(kind="host_fence").count() == 1
    rounds(place)
    recoveries_sweep()
    assert Operation.objects.filter(kind="restart_elsewhere").count() == 1 and Recovery.objects.count() == 1


def test_without_a_confirmed_fence_nothing_is_started_anywhere():
    place, vm = a_place()
    place.harness.troubles = [Trouble("read_again", "refused", times=99)]

    recovery = rounds(place)

    assert recovery.state == State.STOPPED and "Nothing was started elsewhere." in recovery.sentence
    assert "beta" not in place.world.places(str(vm.pk)) and not recovery.workloads.exists()
    assert Host.objects.get(pk=place.alpha.pk).power != "off"


def test_a_host_without_a_bmc_waits_for_a_person():
    place, vm = a_place()
    place.alpha.bmc.delete()

    assert rounds(place).state == State.STOPPED
    assert "beta" not in place.world.places(str(vm.pk))


def test_an_administrator_may_declare_a_host_dead_by_its_name():
    place, vm = a_place()
    place.alpha.bmc.delete()
    place.world.power_set("alpha", False)  # as the administrator has seen
    recovery = rounds(place)

    with pytest.raises(Forbidden):
        recovery_declare_dead(user_make("operator"), recovery, typed="alpha")
    with pytest.raises(Invalid):
        recovery_declare_dead(place.user, recovery, typed="Alpha")
    recovery_declare_dead(place.user, recovery, typed="alpha")

    assert rounds(place).state == State.DONE
    assert place.world.places(str(vm.pk))["beta"] == "running"
    assert AuditRecord.objects.filter(verb="recovery_declare_dead", user_name=place.user.get_username()).exists()


def test_a_host_is_not_declared_dead_before_its_fence_has_failed():
    place, _ = a_place("ask")

    with pytest.raises(Refused, match="only after its fence has failed"):
        recovery_declare_dead(place.user, rounds(place), typed="alpha")


def test_a_host_that_answers_again_before_a_person_decided_ends_it():
    place, _ = a_place("ask")
    recoveries_sweep()
    Host.objects.filter(pk=place.alpha.pk).update(last_seen_at=timezone.now())

    recovery = rounds(place)

    assert recovery.state == State.ENDED and recovery.finished_at and not Operation.objects.exists()


def test_a_host_that_answers_again_before_the_cut_is_not_cut():
    place, vm = a_place()
    recoveries_sweep()  # the fence is queued
    Host.objects.filter(pk=place.alpha.pk).update(last_seen_at=timezone.now())

    recovery = rounds(place)

    assert recovery.state == State.ENDED and place.world.hosts["alpha"].powered
    assert place.world.places(str(vm.pk)) == {"alpha": "running"}
    assert not Host.objects.get(pk=place.alpha.pk).is_cordoned


def test_what_cannot_run_elsewhere_is_left_with_its_reason():
    place, vm = a_place()
    container = container_in(place)
    local = VirtualMachine.objects.create(
        kind="vm",
        name="local-1",
        host=place.alpha,
        state="unknown",
        nics=vm.nics,
        disks=[{"target": "vda", "path": "/var/lib/libvirt/images/x.qcow2", "shared_pool_id": "p-local"}],
    )
    adopted = VirtualMachine.objects.create(
        kind="vm", name="old-1", host=place.alpha, state="unknown", is_adopted=True, disks=vm.disks
    )

    recovery = rounds(place)

    told = {row.name: row for row in recovery.workloads.all()}
    assert told[vm.name].state == "done"
    assert "starts cache-1 again by itself" in told[container.name].sentence
    assert "lies on alpha alone" in told[local.name].sentence
    assert "was not made by Stowage" in told[adopted.name].sentence
    assert {told[name].state for name in ("cache-1", "local-1", "old-1")} == {"left"}


def test_a_vm_without_a_place_waits_and_says_why():
    place, vm = a_place()
    Host.objects.filter(pk=place.beta.pk).update(memory_mib=64)

    recovery = rounds(place)

    row = recovery.workloads.get()
    assert recovery.state == State.RESTARTING and row.state == "waiting" and "No host can take web-1" in row.sentence
    Host.objects.filter(pk=place.beta.pk).update(memory_mib=16384)
    assert rounds(place).state == State.DONE
    assert place.world.places(str(vm.pk))["beta"] == "running"


def test_a_shared_folder_of_another_path_is_not_the_same_pool():
    place, _ = a_place()
    place.beta.pool_mounts.update(path="/mnt/elsewhere")

    assert "lies on alpha alone" in rounds(place).workloads.get().sentence


def test_the_stale_definition_on_a_host_that_is_back_is_removed_once():
    place, vm = a_place()
    rounds(place)
    place.world.power_set("alpha", True)
    Host.objects.filter(pk=place.alpha.pk).update(last_seen_at=timezone.now(), power="on", desired_power="on")
    Sighting.objects.create(workload_id=vm.pk, host=place.alpha, state="stopped", observed_at=timezone.now())

    rounds(place)

    assert place.world.places(str(vm.pk)) == {"beta": "running"}
    assert not Sighting.objects.filter(host=place.alpha).exists()
    assert Operation.objects.filter(kind="remove_stale").count() == 1
    assert RecoveredWorkload.objects.count() == 1


def test_a_higher_priority_is_started_first():
    place, vm = a_place()
    VirtualMachine.objects.create(
        kind="vm", name="db-1", host=place.alpha, state="unknown", labels={"priority": "9"}, nics=vm.nics, disks=[]
    )

    recoveries_sweep()
    run_operations(place)
    recoveries_sweep()

    assert [row.name for row in Recovery.objects.get().workloads.all()] == ["db-1", "web-1"]


def test_when_other_hosts_are_silent_too_nothing_is_cut_without_a_person():
    place, _ = a_place()
    Host.objects.filter(pk=place.beta.pk).update(last_seen_at=silent_since(90), power_read_at=silent_since(600))

    for _ in range(3):
        recoveries_sweep()

    assert set(Recovery.objects.values_list("state", flat=True)) == {State.ASKED}
    assert not Operation.objects.exists()
