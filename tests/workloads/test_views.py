from __future__ import annotations

import time

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hosts.models import Host, Operation
from tests import factories
from tests.actors import client_of
from workloads.models import Image, VirtualMachine, Workload
from workloads.views.targets import move_targets

pytestmark = pytest.mark.django_db
QUERIES_MOST = 10
BYTES_MOST = 200 * 1024


@pytest.fixture
def operator() -> Client:
    return client_of("operator")


def able_host() -> Host:
    """A host that can run both kinds."""
    return factories.host_make(hypervisor="QEMU 7.2", engine="Docker 20.10", architecture="x86_64")


def thousand_workloads() -> None:
    hosts = [factories.host_make() for _ in range(10)]
    for number in range(1000):
        kind = Workload.Kind.VM if number % 2 else Workload.Kind.CONTAINER
        Workload(
            name=f"workload-{number:04}",
            kind=kind,
            host=hosts[number % 10],
            state="running",
            memory_mib=128,
            cpu_cores=1,
        ).save()


def test_a_list_of_a_thousand_takes_few_queries_and_bytes(operator: Client):
    thousand_workloads()

    with CaptureQueriesContext(connection) as caught:
        response = operator.get("/workloads/")

    assert response.status_code == 200
    assert len(caught) <= QUERIES_MOST, [query["sql"] for query in caught.captured_queries]
    assert len(response.content) <= BYTES_MOST


def test_a_host_that_does_not_answer_costs_the_list_nothing(operator: Client):
    thousand_workloads()
    with CaptureQueriesContext(connection) as before:
        operator.get("/workloads/")
    Host.objects.filter(pk=Host.objects.first().pk).update(last_seen_at=None)

    began = time.monotonic()
    with CaptureQueriesContext(connection) as after:
        operator.get("/workloads/")

    assert len(after) == len(before)
    assert time.monotonic() - began < 2


def test_the_number_of_queries_does_not_grow_with_the_rows(operator: Client):
    host = factories.host_make()
    factories.vm_make(host)
    with CaptureQueriesContext(connection) as one:
        operator.get("/workloads/")
    for _ in range(40):
        factories.vm_make(host)

    with CaptureQueriesContext(connection) as many:
        operator.get("/workloads/")

    assert len(many) == len(one)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?kind=vm", ["mail"]),
        ("?kind=container", ["cache"]),
        ("?q=MAI", ["mail"]),
        ("?q=node-1", ["cache", "mail"]),
        ("?state=stopped", ["cache"]),
        ("?sort=-name", ["mail", "cache"]),
        ("?kind=nonsense&state=nonsense&sort=password&page=999", ["cache", "mail"]),
        ("?q=%00", ["cache", "mail"]),
    ],
)
def test_filters_find_what_they_say(operator: Client, query: str, expected: list[str]):
    host = factories.host_make("node-1")
    factories.vm_make(host, "mail")
    factories.container_make(host, "cache", state="stopped")

    page = operator.get("/workloads/" + query)

    assert [row.name for row in page.context["page"]] == expected


def test_a_region_is_answered_without_the_page_around_it(operator: Client):
    factories.vm_make(factories.host_make(), "mail")

    part = operator.get("/workloads/", headers={"X-Region": "workloads"})

    assert b"mail" in part.content
    assert b"<html" not in part.content
    assert "X-Region" in part["Vary"]
    assert part["Cache-Control"] == "no-store"


def test_a_name_with_markup_is_shown_as_text(operator: Client):
    host = factories.host_make()
    row = factories.vm_make(host, state_reason="<script>alert(1)</script>")
    Workload.objects.filter(pk=row.pk).update(name="<img src=x onerror=alert(1)>", pin_reason='"><b>', is_pinned=True)

    for address in ("/", "/workloads/", f"/workloads/{row.pk}/", f"/hosts/{host.pk}/"):
        page = operator.get(address).content.decode()

        assert "<script>alert" not in page and "<img src=x" not in page and '"><b>' not in page, address


def test_a_disabled_button_says_why(operator: Client):
    row = factories.vm_make(factories.host_make(), "mail")

    page = operator.get(f"/workloads/{row.pk}/").content.decode()

    assert "mail is running. Stop it before deleting it." in page


def test_a_viewer_reads_why_nothing_can_be_pressed():
    row = factories.vm_make(factories.host_make(), "mail")

    page = client_of("viewer").get(f"/workloads/{row.pk}/").content.decode()

    assert "Your role only allows looking" in page
    assert f'action="/workloads/{row.pk}/stop/"' not in page or 'aria-disabled="true"' in page


def test_a_workload_that_runs_on_two_hosts_is_an_alarm(operator: Client):
    first, second = factories.host_make("one"), factories.host_make("two")
    row = factories.vm_make(first, "mail")
    now = first.last_seen_at
    for host in (first, second):
        row.sightings.create(host=host, state="running", observed_at=now)

    page = operator.get(f"/workloads/{row.pk}/").content.decode()

    assert "mail was last seen running on one and two" in page


def test_stopping_begins_an_operation_and_says_so(operator: Client):
    row = factories.vm_make(factories.host_make(), "mail")

    page = operator.post(f"/workloads/{row.pk}/stop/", follow=True).content.decode()

    assert Operation.objects.get().kind == "stop_workload"
    assert "Begun: stop, mail." in page


@pytest.mark.parametrize("typed", ["", "Mail", "mail "])
def test_deleting_asks_for_the_exact_name(operator: Client, typed: str):
    row = factories.vm_make(factories.host_make(), "mail", state="stopped", desired="stopped")

    page = operator.post(f"/workloads/{row.pk}/delete/", {"typed": typed}, follow=True).content.decode()

    assert not Operation.objects.exists()
    assert "type mail exactly" in page


def test_deleting_with_the_name_typed_begins(operator: Client):
    row = factories.vm_make(factories.host_make(), "mail", state="stopped", desired="stopped")

    operator.post(f"/workloads/{row.pk}/delete/", {"typed": "mail"})

    assert Operation.objects.get().kind == "delete_workload"


@pytest.mark.parametrize("target", ["", "nonsense", "00000000-0000-0000-0000-000000000000"])
def test_moving_to_no_host_is_refused_with_a_sentence(operator: Client, target: str):
    row = factories.vm_make(factories.host_make(), "mail")

    page = operator.post(f"/workloads/{row.pk}/move/", {"target": target}, follow=True).content.decode()

    assert "Choose the host" in page


def test_targets_say_why_not_and_come_last():
    here, full, off = factories.host_make("here"), factories.host_make("full"), factories.host_make("off", power="off")
    free, rival = factories.host_make("free"), factories.host_make("rival")
    row = factories.vm_make(here, "mail", memory_mib=1024, anti_affinity_group="mails")
    factories.vm_make(full, memory_mib=3500)
    factories.vm_make(rival, "mail-2", anti_affinity_group="mails")

    targets = move_targets(VirtualMachine.objects.select_related("host__rack").get(pk=row.pk))

    reasons = {target.host.name: target.reason for target in targets}
    assert targets[0].host == free and reasons["free"] is None
    assert "596 MiB of memory left" in reasons["full"]
    assert "powered off" in reasons["off"]
    assert "mail-2 of the same group" in reasons["rival"]
    assert off.name not in [target.host.name for target in targets if target.reason is None]


def test_a_new_vm_becomes_an_operation(operator: Client):
    able_host()
    image = factories.image_make()

    values = {"name": "mail", "image": str(image.pk), "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1}
    response = operator.post("/workloads/new/vm/", values)

    operation = Operation.objects.get()
    assert response["Location"] == f"/operations/{operation.pk}/"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"memory_mib": 10**6}, "more memory than any host has"),
        ({"cpu_cores": 200}, "CPU cores are more than any host has"),
        ({"disk_gib": 10**5}, "larger than the pool"),
        ({"name": "taken"}, "is the name of a VM"),
        ({"name": "-rf"}, "begins with a letter or digit"),
        ({"name": "<b>"}, "begins with a letter or digit"),
        ({"image": "00000000-0000-0000-0000-000000000000"}, "not one of the available choices"),
        ({"image": ""}, "Choose an image, or an ISO"),
    ],
)
def test_a_vm_that_cannot_be_is_a_sentence_in_the_form(operator: Client, change: dict[str, object], sentence: str):
    host = able_host()
    factories.vm_make(host, "taken")
    image = factories.image_make()
    values = {"name": "mail", "image": str(image.pk), "cpu_cores": 1, "memory_mib": 256, "disk_gib": 1, "host": host.pk}

    response = operator.post("/workloads/new/vm/", values | change)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Operation.objects.exists()
    assert Workload.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"command": 'echo "open'}, "a quote that is not closed"),
        ({"environment": "NAME"}, "Write NAME=value"),
        ({"ports": "80"}, "Write ports as host:container"),
        ({"ports": "99999:80"}, "Ports lie between"),
        ({"image": "no such image!"}, "Name the container image like"),
    ],
)
def test_a_container_that_cannot_be_is_a_sentence_in_the_form(
    operator: Client, change: dict[str, object], sentence: str
):
    able_host()
    values = {"name": "cache", "image": "redis:7", "cpu_cores": 0.5, "memory_mib": 64, "restart_policy": "no"}

    response = operator.post("/workloads/new/container/", values | change)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Workload.objects.exists()


def test_a_container_gets_what_the_form_says(operator: Client):
    able_host()
    values = {
        "name": "cache",
        "image": "redis:7",
        "cpu_cores": 0.5,
        "memory_mib": 64,
        "restart_policy": "always",
        "command": "redis-server --port 7000",
        "environment": "MODE=fast\n\nTEXT=a=b",
        "ports": "7000:7000, 7001:7001/udp",
    }

    operator.post("/workloads/new/container/", values)

    spec = Operation.objects.get().parameters["spec"]
    assert spec["command"] == ["redis-server", "--port", "7000"]
    assert spec["environment"] == {"MODE": "fast", "TEXT": "a=b"}
    assert [(port["host"], port["protocol"]) for port in spec["ports"]] == [(7000, "tcp"), (7001, "udp")]


def test_a_file_that_is_no_image_is_a_sentence_in_the_form(operator: Client, settings):
    upload = SimpleUploadedFile("notes.txt", b"these are notes, not a disk")

    values = {"name": "notes", "format": "qcow2", "file": upload}
    response = operator.post("/images/new/", values)

    assert response.status_code == 422
    assert not Image.objects.exists()
    assert not any(path.is_file() for path in settings.IMAGE_DIR.rglob("*"))


@pytest.mark.parametrize(("box", "parameter"), [({}, False), ({"auto_converge": "1"}, True)])
def test_a_box_that_is_not_ticked_leaves_the_guest_at_its_speed(operator: Client, box: dict[str, str], parameter: bool):
    row = factories.vm_make(factories.host_make("here"), "mail")
    asked = {"target": str(factories.host_make("there").pk), "auto_converge_asked": "1"} | box

    operator.post(f"/workloads/{row.pk}/move/", asked)

    assert Operation.objects.get().parameters["auto_converge"] is parameter


def test_a_move_tells_what_is_to_go_and_how_long_the_guest_will_stand_still(operator: Client):
    told = {"data_remaining_bytes": 3 * 2**20, "data_total_bytes": 2**27, "expected_downtime_ms": 250}
    told |= {"dirty_rate_bytes_s": 2**20, "throttle_percent": 20, "iteration": 4}
    row = factories.vm_make(factories.host_make("here"), "mail")
    operator.post(f"/workloads/{row.pk}/move/", {"target": str(factories.host_make("there").pk)})
    Operation.objects.update(state="running", progress_data=told)

    page = operator.get(f"/operations/{Operation.objects.get().pk}/").content.decode()

    for text in ("3.0 MiB of 128.0", "1.0 MiB/s", "250 ms", "20 %"):
        assert text in page


@pytest.mark.parametrize("text", ["0", "-4", "fast", "100001", "9" * 400])
def test_a_limit_of_a_move_that_is_no_number_gets_a_sentence(operator: Client, text: str):
    row = factories.vm_make(factories.host_make("here"), "mail")
    target = factories.host_make("there")

    asked = {"target": str(target.pk), "bandwidth_mib_s": text}
    page = operator.post(f"/workloads/{row.pk}/move/", asked, follow=True).content.decode()

    assert "from 1 to 100,000" in page and not Operation.objects.exists()


def test_an_image_is_removed_once_its_name_is_typed(operator: Client):
    image = factories.image_make("tiny")

    operator.post(f"/images/{image.pk}/remove/", {"typed": "tin"})
    assert Image.objects.exists()

    operator.post(f"/images/{image.pk}/remove/", {"typed": "tiny"})
    assert not Image.objects.exists()


def test_the_marked_are_stopped_and_each_says_what_came_of_it(operator: Client):
    host = factories.host_make()
    vm, off = factories.vm_make(host, "mail"), factories.vm_make(host, "old", state="stopped")
    marked = {"verb": "stop", "workload": [str(vm.pk), str(off.pk), "nonsense"], "once": "t"}

    page = operator.post("/workloads/bulk/", marked).content.decode()

    assert "1 begun, 1 not possible" in page
    assert "old is stopped; there is nothing to stop." in page
    operator.post("/workloads/bulk/", marked)
    assert Operation.objects.count() == 1


def test_deleting_many_is_asked_about_and_needs_the_word(operator: Client):
    vm = factories.vm_make(factories.host_make(), "old", state="stopped")
    marked = {"verb": "delete", "workload": [str(vm.pk)]}

    page = operator.post("/workloads/bulk/", marked).content.decode()
    assert "There is no way back." in page and "old" in page and not Operation.objects.exists()

    operator.post("/workloads/bulk/", marked | {"typed": "delete"})
    assert Operation.objects.get().kind == "delete_workload"


def test_with_nothing_marked_the_list_says_so(operator: Client):
    assert (
        "No workload is selected." in operator.post("/workloads/bulk/", {"verb": "stop"}, follow=True).content.decode()
    )
