from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.chronicle import journal_of
from hosts.models import Entry, Host, Operation
from hosts.queries import host_status
from tests import factories
from tests.actors import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator() -> Client:
    return client_of("administrator")


def enrolment(**change: object) -> dict[str, object]:
    values = {
        "name": "web-07",
        "rack": factories.rack_make().pk,
        "management_address": "10.9.9.9",
        "bridge": "stw0",
        "idle_watts": 100,
        "peak_watts": 200,
    }
    return values | change


def test_the_number_of_queries_does_not_grow_with_the_hosts(administrator: Client):
    factories.host_make()
    with CaptureQueriesContext(connection) as one:
        administrator.get("/hosts/")
    for _ in range(20):
        factories.vm_make(factories.host_make())

    with CaptureQueriesContext(connection) as many:
        administrator.get("/hosts/")

    assert len(many) == len(one)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "on"),
        ({"power": "off"}, "off"),
        ({"last_seen_at": None}, "not answering"),
        ({"last_seen_at": timezone.now() - timedelta(minutes=2)}, "not answering"),
        ({"is_in_maintenance": True}, "maintenance"),
        ({"is_cordoned": True}, "cordoned"),
        ({"engine_sentence": "dockerd does not answer"}, "degraded"),
        ({"lifecycle": "enrolling"}, "enrolling"),
        ({"lifecycle": "failed", "lifecycle_reason": "wrong password"}, "enrolment failed"),
    ],
)
def test_a_host_is_called_by_what_matters_most(change: dict[str, object], word: str):
    assert host_status(factories.host_make(**change)).word == word


def test_hosts_are_listed_by_place_and_name(administrator: Client):
    for rack, name in (("b", "alpha"), ("a", "zulu"), ("a", "mike")):
        factories.host_make(name, rack=factories.rack_make(name=rack))

    page = administrator.get("/hosts/")

    assert [row.host.name for row in page.context["rows"]] == ["mike", "zulu", "alpha"]


def test_enrolling_shows_the_token_once_and_keeps_no_copy(administrator: Client):
    page = administrator.post("/hosts/enrol/", enrolment())

    token = page.context["token"]
    assert token in page.content.decode()
    assert page["Cache-Control"] == "no-store"
    host = Host.objects.get()
    assert token not in administrator.get(f"/hosts/{host.pk}/").content.decode()
    assert token not in administrator.get(f"/operations/{Operation.objects.get().pk}/").content.decode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": "taken"}, "There is already a host taken"),
        ({"name": "../etc"}, "begins with a letter or digit"),
        ({"management_address": "10.1.1.1"}, "is the address of taken"),
        ({"management_address": "not an address"}, "valid IPv4 or IPv6 address"),
        ({"peak_watts": 1}, "at least those when idle"),
        ({"bmc_url": "file:///etc/passwd"}, "is a URL such as"),
        ({"bridge": "a-name-that-is-too-long"}, "at most 15"),
    ],
)
def test_a_host_that_cannot_be_enrolled_is_a_sentence_in_the_form(
    administrator: Client, change: dict[str, object], sentence: str
):
    factories.host_make("taken", management_address="10.1.1.1")

    response = administrator.post("/hosts/enrol/", enrolment(**change))

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert Host.objects.count() == 1


def test_the_bmc_password_is_never_shown(administrator: Client):
    host = factories.host_make()

    for address in (f"/hosts/{host.pk}/", f"/api/hosts/{host.pk}", f"/admin/hosts/bmc/{host.bmc.pk}/change/"):
        assert "bmc-password" not in administrator.get(address).content.decode(), address


def test_switching_off_asks_for_the_exact_name(administrator: Client):
    host = factories.host_make("node-1")

    administrator.post(f"/hosts/{host.pk}/power_off/", {"typed": "node"})
    assert not Operation.objects.exists()

    administrator.post(f"/hosts/{host.pk}/power_off/", {"typed": "node-1"})
    assert Operation.objects.get().kind == "host_power_off"


def test_a_host_that_is_off_offers_to_be_woken(administrator: Client):
    host = factories.host_make(power="off", desired_power="off")

    labels = [button.label for button in administrator.get(f"/hosts/{host.pk}/").context["buttons"]]

    assert "Wake" in labels
    assert "Switch off" not in labels


def test_a_busy_host_names_the_operation_in_the_way(administrator: Client):
    host = factories.host_make("node-1")
    administrator.post(f"/hosts/{host.pk}/maintenance_on/")

    page = administrator.get(f"/hosts/{host.pk}/").content.decode()

    assert "is busy" in page


def test_a_host_with_workloads_cannot_be_removed(administrator: Client):
    host = factories.host_make("node-1")
    factories.vm_make(host)

    page = administrator.post(f"/hosts/{host.pk}/remove/", {"typed": "node-1"}, follow=True).content.decode()

    assert "still has 1 workload" in page
    assert Host.objects.exists()


def test_the_watts_are_saved(administrator: Client):
    host = factories.host_make()

    administrator.post(f"/hosts/{host.pk}/power-model/", {"idle_watts": 80, "peak_watts": 220})

    host.refresh_from_db()
    assert (host.idle_watts, host.peak_watts, host.rack_units) == (80, 220, 1)
    administrator.post(f"/hosts/{host.pk}/power-model/", {"idle_watts": 80, "peak_watts": 220, "rack_units": 4})
    host.refresh_from_db()
    assert host.rack_units == 4


def test_a_rack_is_made_with_its_site(administrator: Client):
    administrator.post("/hosts/rack/", {"site": "south", "rack": "b1"})

    assert "south" in administrator.get("/hosts/enrol/").content.decode()


def operation_with(*entries: tuple[str, str, dict[str, object]]) -> Operation:
    operation = Operation.objects.create(
        kind="migrate_vm", subject_kind="vm", subject_id=str(uuid4()), subject_name="mail"
    )
    for number, (kind, step, data) in enumerate(entries, start=1):
        Entry.objects.create(operation=operation, number=number, kind=kind, step=step, data=data)
    return operation


def test_a_journal_is_one_line_for_each_step_and_one_for_its_undo():
    operation = operation_with(
        ("started", "reserve", {}),
        ("done", "reserve", {}),
        ("started", "migrate", {}),
        ("failed", "migrate", {"error": {"message": "too slow"}}),
        ("undo_started", "reserve", {}),
        ("undone", "reserve", {}),
    )

    lines = journal_of(operation)

    assert [(line.step, line.word) for line in lines] == [
        ("reserve", "done"),
        ("migrate", "failed"),
        ("reserve", "taken back"),
    ]
    assert lines[1].error == "too slow"


def test_a_finished_migration_shows_what_it_measured(administrator: Client):
    operation = operation_with(("done", "migrate", {"output": {"seconds": 1.2, "downtime_ms": 41, "data_mib": 130}}))

    page = administrator.get(f"/operations/{operation.pk}/").content.decode()

    assert "41.0 ms" in page


def test_a_stuck_operation_can_be_tried_again_or_closed(administrator: Client):
    operation = operation_with()
    Operation.objects.update(state="stuck")

    labels = [button.label for button in administrator.get(f"/operations/{operation.pk}/").context["buttons"]]

    assert labels == ["Try again", "Close as it stands"]


def test_the_audit_log_tells_who_did_what(administrator: Client):
    administrator.post("/hosts/enrol/", enrolment())

    records = list(administrator.get("/audit/").context["page"])

    assert {"token_issue"} <= {record.verb for record in records}


def test_a_missing_host_is_a_page_with_a_sentence(administrator: Client):
    response = administrator.get("/hosts/00000000-0000-0000-0000-000000000000/")

    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()
