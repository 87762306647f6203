"""Which demand a plan is made by, as the policy says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from django.utils import timezone

from datacenter.admission import why_not_admitted
from datacenter.demanding import demand_for, demand_said
from datacenter.metrics.demand import Demand
from datacenter.metrics.store import MetricsStore
from datacenter.metrics.week import Week
from datacenter.models import DemandProfile, Plan, Policy
from datacenter.services.planning import plan_make
from datacenter.snapshot import data_center_read, demand_of, planner_policy
from tests.actors import client_of
from tests.datacenter.world import a_host, a_site, a_vm

pytestmark = pytest.mark.django_db
DAY, NIGHT = range(8, 20), (*range(8), *range(20, 24))


def store(p95_cores: float | None = None, *uuids: str) -> MetricsStore:
    """A store that knows that p95 of CPU for the workloads."""

    def answer(request: httpx.Request) -> httpx.Response:
        rows = [{"metric": {"workload_uuid": uuid}, "value": [0, str(p95_cores)]} for uuid in uuids]
        is_cpu = "cpu_used" in request.url.params["query"]
        return httpx.Response(200, json={"data": {"result": rows if is_cpu else []}})

    return MetricsStore("http://store", transport=httpx.MockTransport(answer))


def profiled(workload: Any, hours: Any, busy: float, idle: float = 0.1, known: int = 168) -> None:
    week = Week()
    for hour in range(known):
        value = busy if hour % 24 in hours else idle
        week.put(hour, [value] * 48, [value * 2])
    DemandProfile.objects.create(workload=workload, resource="cpu", hours=week.packed, refreshed_until=timezone.now())


def policy(**values: Any) -> Policy:
    return Policy.objects.create(site=a_site(), **values)


def demand(row: Policy, known: MetricsStore | None = None) -> dict[str, Demand]:
    return demand_for(a_site(), row, known or store())


def test_by_allocation_nobody_asks_the_store():
    a_vm("mail", a_host("alpha"))

    row = policy(demand_by="allocation")

    assert demand_for(a_site(), row, None) == {}  # type: ignore[arg-type]
    assert demand_said(row, data_center_read(a_site(), timezone.now())).startswith("Every workload counts as what")


@pytest.mark.parametrize(
    ("risk", "field"), [(0, "cpu_cores_peak"), (1, "cpu_cores_p99"), (5, "cpu_cores"), (50, "cpu_cores_p50")]
)
def test_the_risk_chooses_the_figure_of_the_hour(risk: float, field: str):
    vm = a_vm("mail", a_host("alpha"))
    profiled(vm, DAY, busy=2.0)

    profile = demand(policy(demand_by="profiles", overload_risk_percent=risk))[str(vm.pk)].profile

    assert profile is not None
    assert [name for name in profile.__slots__ if getattr(profile, name)] == [field]
    assert getattr(profile, field)[10] == (4.0 if risk == 0 else 2.0)


def test_a_workload_without_history_is_planned_by_its_allocation():
    host = a_host("alpha")
    known, new = a_vm("known", host), a_vm("new", host)
    profiled(known, DAY, 2.0)
    profiled(new, DAY, 2.0, known=20)
    row = policy(demand_by="profiles")

    world = data_center_read(a_site(), timezone.now(), demand(row))

    assert {one.name: one.profile is not None for one in world.workloads} == {"known": True, "new": False}
    assert demand_said(row, world) == (
        "CPU counts hour by hour of the week, by the p99 of each hour, for 1 of 2 workloads; memory and disk count as "
        "promised. The others have too little history and count as promised."
    )


def test_an_hour_that_was_never_seen_counts_as_promised_or_as_the_highest_seen():
    vm = a_vm("mail", a_host("alpha"), cpu_cores=8.0)
    profiled(vm, DAY, busy=1.0, known=48)

    profile = demand(policy(demand_by="profiles", cpu_overcommit=4))[str(vm.pk)].profile

    assert profile is not None
    assert (profile.cpu_cores_p99[10], profile.cpu_cores_p99[100]) == (1.0, 2.0)


def test_demand_survives_the_way_into_the_plan_and_out_again():
    vm = a_vm("mail", a_host("alpha"))
    profiled(vm, DAY, 2.0)
    known = demand(policy(demand_by="profiles"), store(0.5, str(vm.pk)))

    assert demand_of(data_center_read(a_site(), timezone.now(), known)) == known


def day_and_night() -> tuple[Any, Any]:
    """Two VMs on two hosts, which together fit on one host by the hour only."""
    hosts = [a_host(name, cpu_cores=4.0) for name in ("alpha", "beta")]
    day, night = (a_vm(name, host, cpu_cores=3.0) for name, host in zip(("day", "night"), hosts, strict=True))
    profiled(day, DAY, busy=2.5)
    profiled(night, NIGHT, busy=2.5)
    return day, night


@pytest.mark.parametrize(("demand_by", "hosts_on"), [("profiles", 1), ("p95", 2)])
def test_a_day_load_and_a_night_load_share_a_host_by_the_hour_only(demand_by: str, hosts_on: int):
    day, night = day_and_night()
    row = policy(demand_by=demand_by, cpu_headroom_percent=20, cpu_overcommit=1)
    plan = Plan.objects.create(site=a_site(), requested_by_name="x")

    plan_make(plan, demand(row, store(2.5, str(day.pk), str(night.pk))))

    plan.refresh_from_db()
    assert (plan.state, plan.hosts_on_after) == ("proposed", hosts_on)
    page = client_of("viewer").get(f"/plans/{plan.pk}/").content.decode()
    assert ("hour by hour of the week" in page) == (demand_by == "profiles")


def test_a_move_that_fits_by_the_hour_is_admitted_and_one_that_does_not_is_told_the_hour():
    day_and_night()
    row = policy(demand_by="profiles", cpu_headroom_percent=20, cpu_overcommit=1)
    rows = DemandProfile.objects.order_by("workload__name")

    def refusal() -> str | None:
        world = data_center_read(a_site(), timezone.now(), demand(row))
        day = next(one for one in world.workloads if one.name == "day")
        beta = next(host for host in world.hosts if host.name == "beta")
        return why_not_admitted(world, planner_policy(row), day, beta)

    assert refusal() is None
    rows[1].delete()
    profiled(rows.model.objects.get().workload.__class__.objects.get(name="night"), DAY, busy=2.5)
    assert refusal() == (
        "beta would need 5.0 cores at 08:00 on day 1 of a week, more than the 3.2 cores that the policy leaves it."
    )


def test_without_any_history_the_plan_says_so():
    a_vm("mail", a_host("alpha"))
    row = policy(demand_by="profiles")

    said = demand_said(row, data_center_read(a_site(), timezone.now(), demand(row)))

    assert said.startswith("No workload has a profile yet. Nothing is known")
