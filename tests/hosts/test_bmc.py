"""Changing a host's BMC: what is entered is tried before it is kept, and a password goes nowhere unasked."""

from __future__ import annotations

import pytest
from django.test import Client

from hosts import services
from hosts.credentials import password_decrypt
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Bmc, BmcProposal, Entry, Host, Operation
from tests.actors import client_of
from tests.factories import host_make, user_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import SAMPLES, Sample

pytestmark = pytest.mark.django_db
State = Operation.State
NEW = {"url": "http://10.0.0.9", "username": "root", "password": "hunter2-hunter2"}


def edit(host: Host, **values: str) -> Operation:
    return services.host_bmc_edit(user_make("administrator", "ann"), host, **(NEW | values))


def sample() -> Sample:
    return SAMPLES["host_bmc_edit"][0]()


def test_a_bmc_that_tells_its_power_is_kept_with_its_password():
    trial = sample()
    assert Bmc.objects.get(host__name="beta").url == "http://10.77.0.1:8000"

    operation = trial.harness.run(trial.operation)

    assert operation.state == State.DONE
    bmc = Bmc.objects.get(host__name="beta")
    assert (bmc.url, bmc.username) == ("http://10.77.0.2:8000", "root")
    assert password_decrypt(bytes(bmc.password_encrypted)) == "hunter2-hunter2"
    assert not BmcProposal.objects.exists()


def test_a_bmc_that_refuses_us_is_not_kept():
    trial = sample()
    trial.harness.troubles = [Trouble("read_power", "refused", 10**6)]

    operation = trial.harness.run(trial.operation)

    assert operation.state == State.FAILED
    bmc = Bmc.objects.get(host__name="beta")
    assert bmc.url == "http://10.77.0.1:8000"
    assert password_decrypt(bytes(bmc.password_encrypted)) == "bmc-password"
    assert not BmcProposal.objects.exists()


def test_a_bmc_whose_machine_is_off_is_not_that_of_a_host_that_answers():
    trial = sample()
    trial.world.power_set("beta", False)

    operation = trial.harness.run(trial.operation)

    assert operation.state == State.FAILED
    assert "belongs to another machine" in operation.message
    assert Bmc.objects.get(host__name="beta").url == "http://10.77.0.1:8000"


def test_a_host_that_is_off_may_get_a_bmc_that_says_so():
    trial = sample()
    trial.world.power_set("beta", False)
    Host.objects.filter(name="beta").update(power="off", last_seen_at=None)

    assert trial.harness.run(trial.operation).state == State.DONE


def test_a_host_without_a_bmc_gets_one():
    operation = edit(host_make(with_bmc=False))

    assert operation.state == State.QUEUED
    assert BmcProposal.objects.get().operation == operation


def test_the_new_password_stands_in_no_journal_and_no_record():
    trial = sample()
    trial.harness.run(trial.operation)

    told = [*Entry.objects.values(), *AuditRecord.objects.values(), *Operation.objects.values()]
    assert "hunter2" not in str(told)
    assert b"hunter2" not in bytes(Bmc.objects.get(host__name="beta").password_encrypted)


@pytest.mark.parametrize("change", [{"url": "http://evil.example"}, {"username": "somebody"}])
def test_the_stored_password_goes_to_no_other_address_and_for_no_other_user(change: dict[str, str]):
    host = host_make()
    known = {"url": host.bmc.url, "system": host.bmc.system, "username": host.bmc.username, "password": ""}

    with pytest.raises(Invalid, match="Enter the password again") as caught:
        edit(host, **(known | change))

    assert caught.value.field == "bmc_password"
    assert not Operation.objects.exists()


def test_an_empty_password_keeps_the_stored_one_for_another_system_of_the_same_bmc():
    host = host_make()

    edit(host, url=host.bmc.url, system="node-7", username=host.bmc.username, password="")

    assert password_decrypt(bytes(BmcProposal.objects.get().password_encrypted)) == "bmc-password"


def test_the_bmc_of_another_host_is_refused_naming_it():
    other = host_make("web-01")

    with pytest.raises(Invalid, match=r"BMC of web-01") as caught:
        edit(host_make(), url=f"{other.bmc.url}/", system=other.bmc.system)

    assert caught.value.field == "bmc_url"
    assert not Operation.objects.exists()


@pytest.mark.parametrize(
    "url", ["", "ftp://10.0.0.9", "10.0.0.9", "http://[", "http://10.0.0.9:99999", "http://a b", "http://u:p@10.0.0.9"]
)
def test_a_bmc_address_that_is_no_plain_url_is_refused_at_its_field(url: str):
    with pytest.raises(Invalid, match="URL such as") as caught:
        edit(host_make(), url=url)

    assert caught.value.field == "bmc_url"
    assert not BmcProposal.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_change_a_bmc(role: str):
    with pytest.raises(Forbidden, match="administrators"):
        services.host_bmc_edit(user_make(role), host_make(), **NEW)


def test_a_host_that_is_not_enrolled_or_busy_keeps_its_bmc_for_now():
    host = host_make()
    edit(host)

    with pytest.raises(Refused, match="is busy"):
        services.host_bmc_edit(user_make("administrator"), host, **NEW)
    with pytest.raises(Refused, match="is not enrolled"):
        services.host_bmc_edit(user_make("administrator"), host_make(lifecycle="failed"), **NEW)


def test_a_change_of_bmc_tells_who_what_when_and_by_which_operation():
    operation = edit(host_make("web-01"))

    record = AuditRecord.objects.get(verb="host_bmc_edit")
    assert (record.user_name, record.thing_name, record.operation_id) == ("ann", "web-01", operation.pk)
    assert record.at is not None
    assert record.detail["parameters"]["url"] == "http://10.0.0.9"


def test_the_site_plane_is_given_the_proposed_password_for_that_step_alone(client: Client):
    trial = sample()
    host = Host.objects.select_related("rack__site").get(name="beta")
    token = services.plane_token_issue(user_make("administrator"), of=host.rack.site)
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/plane/v1/secrets/{trial.operation.pk}/read_power"

    assert client.get(path, headers=headers).status_code == 404
    trial.harness.engine().advance(trial.operation.pk)
    assert client.get(path, headers=headers).json() == {"secret": "hunter2-hunter2"}

    trial.harness.run(trial.operation)
    assert client.get(path, headers=headers).status_code == 404


# -- the page and the API -----------------------------------------------------------------------------------


def test_the_form_of_a_bmc_shows_what_is_known_but_the_password():
    host = host_make()

    page = client_of("administrator").get(f"/hosts/{host.pk}/bmc/").content.decode()

    assert host.bmc.url in page and host.bmc.system in page
    assert "bmc-password" not in page


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bmc_url": "10.0.0.9"}, "is a URL such as"),
        ({"bmc_url": ""}, "This field is required"),
        ({"bmc_url": "http://10.0.0.9", "bmc_password": ""}, "Enter the password again"),
        ({"bmc_url": "http://10.77.0.1:8000", "bmc_system": "web-01"}, "the BMC of web-01"),
    ],
)
def test_a_bmc_that_cannot_be_is_a_sentence_in_the_form(change: dict[str, str], sentence: str):
    host_make("web-01")
    host = host_make()
    values = {"bmc_url": "http://10.0.0.8", "bmc_username": "root", "bmc_password": "new"}

    response = client_of("administrator").post(f"/hosts/{host.pk}/bmc/", values | change)

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not Operation.objects.exists()


def test_a_bmc_entered_in_the_form_becomes_an_operation():
    host = host_make()
    values = {"bmc_url": "http://10.0.0.8", "bmc_username": "root", "bmc_password": "new"}

    response = client_of("administrator").post(f"/hosts/{host.pk}/bmc/", values)

    assert response["Location"] == f"/operations/{Operation.objects.get().pk}/"


def test_a_bmc_is_changed_over_the_api():
    host = host_make()

    response = client_of("administrator").put(f"/api/hosts/{host.pk}/bmc", NEW, content_type="application/json")

    assert response.status_code == 202
    assert response.json()["kind"] == "host_bmc_edit"
    wrong = client_of("administrator").put(
        f"/api/hosts/{host_make().pk}/bmc", NEW | {"url": "nonsense"}, content_type="application/json"
    )
    assert (wrong.status_code, wrong.json()["error"]) == (422, "Invalid")
