"""Workloads of one anti-affinity group never share a host, however they come there."""

from __future__ import annotations

import pytest

from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Operation
from tests.actors import client_of
from tests.factories import host_make, user_make, vm_make
from tests.saga_samples import place_make
from workloads import services
from workloads.models import Workload

pytestmark = pytest.mark.django_db


def create_vm(host, group="shop"):
    values = {"name": "shop-2", "image": None, "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1}
    return services.vm_create(user_make("operator"), host=host, anti_affinity_group=group, **values)


def create_container(host, group="shop"):
    values = {"name": "shop-3", "image": "busybox:latest", "cpu_cores": 0.5, "memory_mib": 64}
    return services.container_create(user_make("operator"), host=host, anti_affinity_group=group, **values)


@pytest.mark.parametrize("create", [create_vm, create_container])
def test_a_host_chosen_by_hand_that_has_one_of_the_group_is_refused_at_its_field(create):
    host = host_make("alpha")
    vm_make(host, "shop-1", anti_affinity_group="shop")

    with pytest.raises(Refused, match="shop-1 of the same group shop is on alpha") as caught:
        create(host)

    assert caught.value.field == "host"
    assert not Operation.objects.exists()
    assert Workload.objects.count() == 1


def test_a_host_with_a_workload_of_another_group_takes_it():
    host = host_make()
    vm_make(host, "mail-1", anti_affinity_group="mail")

    assert create_vm(host).state == "queued"


def test_a_host_to_which_one_of_the_group_is_moving_is_refused():
    place = place_make()
    vm = vm_make(place.alpha, "shop-1", anti_affinity_group="shop")
    services.workload_move(place.user, vm, target=place.beta)

    with pytest.raises(Refused, match="shop-1 of the same group"):
        create_vm(place.beta)


def test_an_adopted_workload_is_put_into_a_group_and_the_audit_says_so():
    vm = vm_make(host_make(), "shop-1", is_adopted=True)

    services.workload_keep_apart(user_make("operator"), vm, group=" shop ")

    assert Workload.objects.get().anti_affinity_group == "shop"
    assert AuditRecord.objects.get(verb="workload_keep_apart").detail == {"group": "shop", "was": ""}


def test_an_empty_group_keeps_a_workload_apart_from_nothing():
    vm = vm_make(host_make(), anti_affinity_group="shop")

    services.workload_keep_apart(user_make("operator"), vm, group="")

    assert Workload.objects.get().anti_affinity_group == ""


def test_a_group_is_refused_while_one_of_it_is_on_the_same_host():
    host = host_make("alpha")
    vm_make(host, "shop-1", anti_affinity_group="shop")
    vm = vm_make(host, "shop-2")

    with pytest.raises(Invalid, match="shop-1 of the group shop is on alpha too"):
        services.workload_keep_apart(user_make("operator"), vm, group="shop")


def test_a_group_is_not_changed_under_a_running_operation():
    place = place_make()
    vm = vm_make(place.alpha)
    services.workload_move(place.user, vm, target=place.beta)

    with pytest.raises(Refused, match="busy"):
        services.workload_keep_apart(place.user, vm, group="shop")


def test_a_viewer_keeps_nothing_apart():
    with pytest.raises(Forbidden):
        services.workload_keep_apart(user_make("viewer"), vm_make(host_make()), group="shop")


def test_the_group_is_set_on_the_page_and_through_the_api():
    vm = vm_make(host_make(), "shop-1")
    client = client_of("operator")

    client.post(f"/workloads/{vm.pk}/keep-apart/", {"group": "shop"})
    assert Workload.objects.get().anti_affinity_group == "shop"

    answer = client.post(f"/api/workloads/{vm.pk}/keep-apart", {"group": "web"}, content_type="application/json")
    assert answer.json()["anti_affinity_group"] == "web"


def test_the_form_shows_the_refusal_beside_the_host():
    host = host_make("alpha")
    vm_make(host, "shop-1", anti_affinity_group="shop")
    values = {"name": "shop-3", "image": "busybox:1", "cpu_cores": "0.5", "memory_mib": "64", "host": str(host.pk)}

    page = client_of("operator").post(
        "/workloads/new/container/", values | {"anti_affinity_group": "shop", "restart_policy": "no"}
    )

    assert page.status_code == 422
    assert "shop-1 of the same group" in page.context["form"].errors["host"][0]
