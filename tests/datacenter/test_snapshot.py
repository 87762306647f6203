"""The database as the planner sees it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter.metrics.demand import Demand
from datacenter.planner import model as planner
from datacenter.planner.compatibility import why_closed
from datacenter.snapshot import changes_between, data_center_read, demand_of, fingerprint, policy_of
from hosts.models import Host, Lease, Operation, Pool, PoolMount
from tests.datacenter.world import a_container, a_host, a_site, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


def read(demand: dict[str, Demand] | None = None) -> planner.DataCenter:
    return data_center_read(a_site(), timezone.now(), demand)


def workload_named(world: planner.DataCenter, name: str) -> planner.Workload:
    return next(row for row in world.workloads if row.name == name)


def host_named(world: planner.DataCenter, name: str) -> planner.Host:
    return next(host for host in world.hosts if host.name == name)


def test_hosts_and_workloads_come_with_their_sizes_and_rules():
    alpha = a_host("alpha")
    a_vm("db-1", alpha, is_pinned=True, pin_reason="licence", anti_affinity_group="db")

    world = read()

    host, vm = world.hosts[0], world.workloads[0]
    assert (host.capacity.memory_mib, host.rack, host.bridges) == (8192, "r1", ("stw0",))
    assert (vm.kind, vm.allocation.memory_mib, vm.anti_affinity, vm.bridges) == ("vm", 1024, ("db",), ("stw0",))
    assert vm.why_fixed == "db-1 is pinned to its host: licence"


def test_the_number_of_statements_does_not_grow_with_the_site(django_assert_max_num_queries):
    for number in range(10):
        host = a_host(f"host-{number}")
        a_vm(f"vm-{number}", host)
        a_container(f"box-{number}", host)

    with django_assert_max_num_queries(10):
        assert len(read().workloads) == 20


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"desired_power": Host.Power.OFF}, "powered off"),
        ({"power": Host.Power.OFF, "is_in_maintenance": True}, "maintenance"),
        ({"is_in_maintenance": True}, "maintenance"),
        ({"is_cordoned": True}, "closed"),
        ({"last_seen_at": timezone.now() - timedelta(minutes=5)}, "does not answer"),
    ],
)
def test_a_host_that_takes_no_work_says_why(fields: dict, sentence: str):
    a_host("alpha", **fields)

    host = read().hosts[0]

    assert not host.accepts_work
    assert sentence in host.accepts_reason


def test_a_host_that_is_off_takes_work_once_it_is_woken():
    since = timezone.now() - timedelta(days=1)
    a_host("alpha", power=Host.Power.OFF, desired_power=Host.Power.OFF, is_cordoned=True, last_seen_at=since)

    host = read().hosts[0]

    assert host.accepts_work and why_closed(host) == "alpha is off"


def test_a_host_without_bmc_is_never_switched_off():
    a_host("alpha", bmc=False)

    assert "nobody could wake it" in read().hosts[0].power_off_reason


def test_hosts_that_are_not_enrolled_and_other_sites_are_left_out():
    a_host("alpha", lifecycle=Host.Lifecycle.ENROLLING)
    a_host("paris-1", site="paris")

    assert read().hosts == ()


@pytest.mark.parametrize(
    ("state", "sentence"), [("stopped", "only a running"), ("paused", "only a running"), ("unknown", "only a running")]
)
def test_what_does_not_run_keeps_its_place_and_is_not_moved(state: str, sentence: str):
    a_vm("web", a_host("alpha"), state=state)

    assert sentence in (read().workloads[0].why_fixed or "")


def test_what_is_gone_takes_no_place():
    a_vm("web", a_host("alpha"), state="gone")

    assert read().workloads == ()


def test_what_an_operation_holds_is_not_moved():
    vm = a_vm("web", a_host("alpha"))
    operation = Operation.objects.create(kind="stop_workload", subject_kind="vm", subject_id=vm.pk, subject_name="web")
    Lease.objects.create(thing_kind="vm", thing_id=str(vm.pk), operation=operation)

    assert "web is busy" in (read().workloads[0].why_fixed or "")


def test_what_is_on_its_way_counts_on_both_hosts():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)
    Operation.objects.create(
        kind="migrate_vm", subject_kind="vm", subject_id=str(vm.pk), subject_name="web", target_host=beta
    )

    world = read()

    assert sorted(row.host for row in world.workloads) == sorted([str(alpha.pk), str(beta.pk)])
    arriving = next(row for row in world.workloads if row.host == str(beta.pk))
    assert arriving.why_fixed == "web is on its way to beta."


def test_a_disk_on_a_pool_that_two_hosts_read_needs_no_copy_and_no_local_room():
    alpha, beta = a_host("alpha"), a_host("beta")
    pool = Pool.objects.create(pool_id="p-1", name="shared")
    for host in (alpha, beta):
        PoolMount.objects.create(host=host, pool=pool, path="/srv")
    disk = {"target": "vda", "path": "/srv/a", "size_gib": 10.0, "shared_pool_id": "p-1"}
    a_vm("web", alpha, disks=[disk, disk | {"path": "/local/b", "shared_pool_id": None, "size_gib": 3.0}])

    vm = read().workloads[0]

    assert (vm.pools, vm.copy_gib, vm.allocation.disk_gib) == (("p-1",), 3.0, 3.0)


def test_a_pool_that_only_one_host_reads_is_local():
    alpha = a_host("alpha")
    PoolMount.objects.create(host=alpha, pool=Pool.objects.create(pool_id="p-1", name="own"), path="/srv")
    a_vm("web", alpha, disks=[{"path": "/srv/a", "size_gib": 10.0, "shared_pool_id": "p-1"}])

    vm = read().workloads[0]

    assert (vm.pools, vm.copy_gib) == ((), 10.0)


def test_measured_demand_is_joined_and_can_be_taken_out_again():
    vm = a_vm("web", a_host("alpha"))

    world = read({str(vm.pk): Demand(0.3, 700.0)})

    assert world.workloads[0].observed_p95 == planner.Resources(0.3, 700.0)
    assert demand_of(world) == {str(vm.pk): Demand(0.3, 700.0)}


def test_the_fingerprint_is_the_same_for_the_same_world():
    a_vm("web", a_host("alpha"))

    assert fingerprint(read()) == fingerprint(read({}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"memory_mib": 2048}, "web has another size or other rules."),
        ({"is_pinned": True}, "web has another size or other rules."),
        ({"anti_affinity_group": "x"}, "web has another size or other rules."),
        ({"state": "gone"}, "web is gone."),
    ],
)
def test_what_a_plan_rests_on_changes_the_fingerprint_and_is_told(change: dict, sentence: str):
    a_vm("web", a_host("alpha"))
    before = read()

    Workload.objects.update(**change)

    assert fingerprint(read()) != fingerprint(before)
    assert changes_between(before, read()) == [sentence]


def test_a_moved_workload_a_new_host_and_one_switched_off_are_told():
    alpha, beta = a_host("alpha"), a_host("beta")
    a_vm("web", alpha)
    before = read()

    Workload.objects.update(host=beta)
    Host.objects.filter(pk=alpha.pk).update(power=Host.Power.OFF)
    a_host("gamma")

    assert set(changes_between(before, read())) == {
        "web is on beta now, no longer on alpha.",
        "alpha was switched off.",
        "gamma is new.",
    }


def test_an_operation_under_way_is_no_change_of_the_world():
    alpha, beta = a_host("alpha"), a_host("beta")
    vm = a_vm("web", alpha)
    before = read()

    Operation.objects.create(kind="migrate_vm", subject_kind="vm", subject_id=str(vm.pk), target_host=beta)

    assert fingerprint(read()) == fingerprint(before)


def test_reading_stores_no_policy():
    site = a_site()

    assert policy_of(site).pk is None
