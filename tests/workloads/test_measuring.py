"""Measuring what a VM and a container cost: two operations one after the other, and figures with their date."""

from __future__ import annotations

from typing import Any

import pytest

from hosts.errors import Forbidden, Invalid, NotFound, Refused
from hosts.models import Host, Operation, Pool
from tests.actors import client_of
from tests.factories import LOCAL_POOL, host_make, image_make, pool_mount_make, user_make, vm_make
from workloads import queries, services
from workloads.models import Measurement, Workload

pytestmark = pytest.mark.django_db


@pytest.fixture
def host() -> Host:
    host = host_make()
    pool_mount_make(host, Pool.objects.create(pool_id="p9", name="local"), LOCAL_POOL)
    return host


def begun(host: Host, **values: Any) -> tuple[Operation, Operation]:
    wanted: dict[str, Any] = {"image": image_make("tiny"), "container_image": "redis:7"} | values
    return services.choice_measure(user_make(), host, **wanted)


def test_the_container_waits_for_the_vm_and_both_are_given_the_same(host: Host):
    vm, container = begun(host, memory_mib=300, sign="ready")

    assert (vm.kind, container.kind) == ("measure_vm", "measure_container")
    assert vm.parameters["sign"] == "ready" and container.parameters["after"] == str(vm.pk)
    assert [row.memory_mib for row in Workload.objects.all()] == [300, 300]


@pytest.mark.parametrize("sign", ["", "a\nb", "x" * 201])
def test_a_sign_that_no_line_could_be_is_refused(host: Host, sign: str):
    with pytest.raises(Invalid) as refusal:
        begun(host, sign=sign)
    assert refusal.value.field == "sign" and not Operation.objects.exists()


def test_what_has_no_room_or_no_name_is_refused(host: Host):
    with pytest.raises(Invalid):
        begun(host, container_image="not an image")
    vm_make(host, memory_mib=host.memory_mib)
    with pytest.raises((Refused, NotFound)):
        services.choice_measure(user_make(), host, image=image_make("other"), container_image="redis:7")
    with pytest.raises(Forbidden):
        services.choice_measure(user_make("viewer"), host, image=image_make("third"), container_image="redis:7")


def test_the_newest_of_each_kind_is_shown_for_its_host_with_how_many_would_fit(host: Host):
    figures = {"image_name": "tiny", "promised_mib": 256, "disk_mib": 40}
    for used in (500, 128):
        Measurement.objects.create(host=host, kind="vm", start_s=12.3, used_mib=used, sign="login:", **figures)

    (here,) = queries.measured_here()

    assert here.vm is not None and here.vm.used_mib == 128 and here.vm.fit == host.memory_mib // 128
    assert here.container is None
    page = client_of("viewer").get("/workloads/choose/").content.decode()
    assert "12.3 s" in page and "128 MiB" in page and ">Measure<" not in page
    rows = client_of("viewer").get("/api/measurements").json()
    assert [row["used_mib"] for row in rows] == [128, 500]


def test_the_form_begins_both(host: Host):
    client, image = client_of("operator"), image_make("tiny")
    assert "Measure both on a host" in client.get("/workloads/measure/").content.decode()
    sent = {"host": str(host.pk), "image": str(image.pk), "container_image": "redis:7", "sign": "x", "memory_mib": 64}
    assert client.post("/workloads/measure/", sent | {"container_image": "a b"}).status_code == 422
    assert client.post("/workloads/measure/", sent).status_code == 302
    assert set(Operation.objects.values_list("kind", flat=True)) == {"measure_vm", "measure_container"}
