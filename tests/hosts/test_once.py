"""A form that is sent twice begins one operation."""

from __future__ import annotations

import re

import pytest

from hosts.models import Operation
from tests.actors import client_of
from tests.factories import host_make, vm_make

pytestmark = pytest.mark.django_db


def token_on(page: str) -> str:
    return re.findall(r'name="once" value="(\w+)"', page)[0]


def test_a_double_click_on_stop_begins_one_operation_and_no_complaint():
    vm, client = vm_make(host_make(), "web-1"), client_of("operator")
    sent = {"once": token_on(client.get(f"/workloads/{vm.pk}/").content.decode())}

    answers = [client.post(f"/workloads/{vm.pk}/stop/", sent, follow=True) for _ in range(2)]

    assert Operation.objects.count() == 1
    assert ["busy" in str(message) for message in answers[1].context["messages"]] == [False]


def test_the_same_form_filled_in_anew_is_another_wish():
    host_make()
    client = client_of("operator")
    page = client.get("/workloads/new/container/").content.decode()
    form = {
        "once": token_on(page),
        "image": "busybox:1",
        "cpu_cores": "0.5",
        "memory_mib": "64",
        "restart_policy": "no",
    }

    for name in ("one", "one", "two"):
        client.post("/workloads/new/container/", form | {"name": name})

    assert sorted(Operation.objects.values_list("subject_name", flat=True)) == ["one", "two"]


def test_a_form_shown_again_with_its_errors_keeps_its_token():
    client = client_of("operator")

    page = client.post("/workloads/new/container/", {"once": "abc"}).content.decode()

    assert token_on(page) == "abc"


def test_one_person_never_gets_the_operation_of_another_by_their_token():
    vm = vm_make(host_make(), "web-1")

    for role in ("operator", "administrator"):
        client_of(role).post(f"/workloads/{vm.pk}/stop/", {"once": "abc"})

    assert Operation.objects.count() == 1
    assert Operation.objects.get().requested_by.groups.get().name == "operator"
