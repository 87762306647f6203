from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from hosts.models import Operation
from tests import factories
from tests.actors import client_of
from workloads.models import Workload

pytestmark = pytest.mark.django_db
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def operator() -> Client:
    return client_of("operator")


def post(client: Client, address: str, **payload: Any) -> Any:
    return client.post(address, json.dumps(payload), content_type="application/json")


def able_host(**values: Any) -> Any:
    return factories.host_make(hypervisor="QEMU 7.2", engine="Docker 20.10", architecture="x86_64", **values)


def test_hosts_are_listed_without_their_secrets(operator: Client):
    able_host(name="node-1")

    (host,) = operator.get("/api/hosts").json()

    assert (host["name"], host["status"], host["has_bmc"]) == ("node-1", "on", True)
    assert not [key for key in host if "password" in key or "token" in key]


def test_workloads_are_listed_by_pages(operator: Client):
    host = able_host()
    for number in range(5):
        factories.vm_make(host, f"vm-{number}")

    page = operator.get("/api/workloads?limit=2&offset=2").json()

    assert page["count"] == 5
    assert [row["name"] for row in page["items"]] == ["vm-2", "vm-3"]


@pytest.mark.parametrize("query", ["limit=0", "limit=100000", "offset=-1", "limit=x"])
def test_a_page_out_of_bounds_is_refused(operator: Client, query: str):
    answer = operator.get(f"/api/workloads?{query}")

    assert answer.status_code == 422
    assert answer.json()["message"]


def test_a_vm_is_asked_for_and_becomes_an_operation(operator: Client):
    able_host()
    image = factories.image_make()

    answer = post(operator, "/api/workloads/vms", name="mail", image=str(image.pk), memory_mib=256)

    assert answer.status_code == 202
    assert answer.json()["uuid"] == str(Operation.objects.get().pk)


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"name": "taken"}, 422, "is the name of a VM"),
        ({"name": "-rf"}, 422, "begins with a letter or digit"),
        ({"image": NOBODY}, 404, "There is no such image"),
        ({"memory_mib": 10**7}, 422, "more memory than any host has"),
        ({"disk_gib": 10**5}, 422, "larger than the pool"),
        ({"host": NOBODY}, 404, "There is no such host"),
        ({"memory_mib": "much"}, 422, "memory_mib"),
        ({"cpu_cores": -1}, 422, "cpu_cores"),
    ],
)
def test_a_vm_that_cannot_be_is_a_sentence(operator: Client, change: dict[str, Any], status: int, sentence: str):
    host = able_host()
    factories.vm_make(host, "taken")
    image = factories.image_make()
    payload = {"name": "mail", "image": str(image.pk), "host": str(host.pk)} | change

    answer = post(operator, "/api/workloads/vms", **payload)

    assert answer.status_code == status
    assert sentence in answer.json()["message"]
    assert Workload.objects.count() == 1
    assert not Operation.objects.exists()


def test_what_the_state_forbids_is_409_with_the_tooltips_sentence(operator: Client):
    row = factories.vm_make(able_host(), "mail")

    answer = operator.delete(f"/api/workloads/{row.pk}")

    assert answer.status_code == 409
    assert answer.json() == {"error": "Refused", "message": "mail is running. Stop it before deleting it."}


def test_fields_that_nobody_asked_for_change_nothing():
    administrator = client_of("administrator")
    host = able_host(name="node-1")

    payload = {"idle_watts": 50, "name": "other", "machine_id": "x", "lifecycle": "failed", "power": "off"}
    administrator.patch(f"/api/hosts/{host.pk}", json.dumps(payload), content_type="application/json")

    host.refresh_from_db()
    assert host.idle_watts == 50
    assert (host.name, host.lifecycle, host.power) == ("node-1", "enrolled", "on")


@pytest.mark.parametrize("body", ["[" * 100_000, "{", "nonsense", '{"name": ' + "9" * 5000 + "}"])
def test_a_body_that_is_no_sense_is_refused(operator: Client, body: str):
    answer = operator.post("/api/workloads/vms", body, content_type="application/json")

    assert 400 <= answer.status_code < 500
    assert answer.json()["message"] if answer.status_code == 422 else True


@pytest.mark.parametrize("address", ["hosts", "workloads", "operations", "plans", "images"])
def test_what_is_not_there_is_404_with_a_sentence(address: str):
    client = client_of("administrator")

    answer = (
        client.delete(f"/api/{address}/{NOBODY}") if address == "images" else client.get(f"/api/{address}/{NOBODY}")
    )

    assert answer.status_code == 404
    assert answer.json()["message"].startswith("There is no such")


def test_a_store_that_is_away_is_an_empty_chart_with_its_sentence(operator: Client):
    host = able_host()

    answer = operator.get(f"/api/history/host/{host.pk}/cpu")

    assert answer.status_code == 200
    assert answer.json()["times"] == []
    assert "does not answer" in answer.json()["sentence"]


def test_sites_tell_what_they_save_and_how_it_was_computed(operator: Client):
    able_host(power="off", desired_power="off", idle_watts=100)

    (site,) = operator.get("/api/sites").json()

    assert site["saving"]["saved_watts"] > 0
    assert site["saving"]["how"]


def test_the_description_names_every_route(operator: Client):
    description = operator.get("/api/openapi.json").json()

    assert len(description["paths"]) > 20
    assert "/api/workloads/vms" in description["paths"]


def test_there_is_no_page_that_loads_scripts_from_elsewhere(operator: Client):
    assert operator.get("/api/docs").status_code == 404
