"""An enrolment that failed: what was wrong is corrected on the host's pages, and it begins again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from hosts import services
from hosts.credentials import password_decrypt
from hosts.errors import Refused
from hosts.models import AuditRecord, Bmc, Host, Operation, Plane
from tests.actors import client_of
from tests.factories import host_make, rack_make, user_make

pytestmark = pytest.mark.django_db


def failed_host(**bmc: str) -> Host:
    """A host whose enrolment has failed, with its plane's token and its BMC."""
    given = {"bmc_url": "http://10.0.0.9", "bmc_username": "admin", "bmc_password": "wrong-wrong"} | bmc
    enrolment = services.host_enrol(
        user_make("administrator"), name="web-07", rack=rack_make(), management_address="10.0.0.7", **given
    )
    Operation.objects.all().delete()
    Host.objects.update(lifecycle="failed", lifecycle_reason="The BMC does not accept the user or the password.")
    enrolment.host.refresh_from_db()
    return enrolment.host


def form(**change: str) -> dict[str, str]:
    return {
        "management_address": "10.0.0.7",
        "bridge": "stw0",
        "bmc_url": "http://10.0.0.9",
        "bmc_username": "admin",
        "bmc_password": "right-right",
    } | change


def test_the_page_of_the_host_says_what_failed_and_offers_to_correct_it():
    host = failed_host()

    page = client_of("administrator").get(f"/hosts/{host.pk}/").content.decode()

    assert "does not accept the user or the password" in page
    assert f'href="/hosts/{host.pk}/retry/"' in page
    assert f'href="/hosts/{host.pk}/retry/"' not in client_of("operator").get(f"/hosts/{host.pk}/").content.decode()


def test_the_form_shows_what_is_known_but_the_password():
    host = failed_host()

    page = client_of("administrator").get(f"/hosts/{host.pk}/retry/").content.decode()

    assert "10.0.0.7" in page and "http://10.0.0.9" in page
    assert "wrong-wrong" not in page


def test_what_was_corrected_is_kept_and_the_enrolment_begins_again():
    host = failed_host()

    client_of("administrator").post(f"/hosts/{host.pk}/retry/", form(management_address="10.0.0.8"))

    host.refresh_from_db()
    assert (host.lifecycle, host.lifecycle_reason, host.management_address) == ("enrolling", "", "10.0.0.8")
    assert password_decrypt(bytes(Bmc.objects.get().password_encrypted)) == "right-right"
    assert Operation.objects.get().kind == "enrol_host"


def test_a_new_token_is_shown_once_and_the_one_before_stops_working():
    host = failed_host()
    before = Plane.objects.get().token_sha256

    response = client_of("administrator").post(f"/hosts/{host.pk}/retry/", form(new_token="on"))

    assert response.context["token"] in response.content.decode()
    assert response["Cache-Control"] == "no-store"
    assert Plane.objects.get().token_sha256 != before


def test_a_plane_that_was_let_in_keeps_its_token_and_nothing_is_to_be_done_there():
    host = failed_host()
    Plane.objects.update(last_used_at=timezone.now())
    before = Plane.objects.get().token_sha256
    administrator = client_of("administrator")
    assert administrator.get(f"/hosts/{host.pk}/retry/").context["form"]["new_token"].value() is False

    response = administrator.post(f"/hosts/{host.pk}/retry/", form())

    assert response["Location"] == f"/operations/{Operation.objects.get().pk}/"
    assert Plane.objects.get().token_sha256 == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"management_address": "10.1.1.1"}, "is the address of taken"),
        ({"management_address": "nonsense"}, "valid IPv4 or IPv6 address"),
        ({"bridge": "-rf"}, "begins with a letter or digit"),
        ({"bmc_url": "10.0.0.9"}, "is a URL such as"),
        ({"bmc_url": "http://10.0.0.10", "bmc_password": ""}, "Enter the password again"),
    ],
)
def test_a_correction_that_cannot_be_is_a_sentence_in_the_form_and_changes_nothing(
    change: dict[str, str], sentence: str
):
    host_make("taken", management_address="10.1.1.1")
    host = failed_host()
    before = Host.objects.filter(pk=host.pk).values().get(), Bmc.objects.filter(host=host).values().get()

    response = client_of("administrator").post(f"/hosts/{host.pk}/retry/", form(**change))

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert (Host.objects.filter(pk=host.pk).values().get(), Bmc.objects.filter(host=host).values().get()) == before
    assert not Operation.objects.exists()


def test_a_host_that_is_enrolled_is_not_enrolled_again():
    host = host_make("web-01")

    with pytest.raises(Refused, match="nothing to retry"):
        services.host_retry_enrolment(user_make("administrator"), host)
    response = client_of("administrator").post(f"/hosts/{host.pk}/retry/", form())
    assert response.status_code == 422
    assert "nothing to retry" in response.content.decode()


def test_a_correction_tells_who_what_when_and_by_which_operation():
    host = failed_host()

    services.host_retry_enrolment(
        user_make("administrator", "ann"), host, bmc_url="http://10.0.0.10", bmc_password="hunter2"
    )

    record = AuditRecord.objects.get(verb="host_retry_enrolment")
    assert (record.user_name, record.thing_name) == ("ann", "web-07")
    assert record.operation_id == Operation.objects.get().pk
    assert record.detail["bmc_url"] == "http://10.0.0.10"
    assert "hunter2" not in str(AuditRecord.objects.values())


def test_an_enrolment_is_corrected_over_the_api():
    host, client = failed_host(), client_of("administrator")
    address = f"/api/hosts/{host.pk}/retry"

    refused = client.post(address, {"management_address": "nonsense"}, content_type="application/json")
    begun = client.post(address, {"bmc_url": ""}, content_type="application/json")

    assert (refused.status_code, "IPv4 or IPv6" in refused.json()["message"]) == (422, True)
    assert begun.status_code == 202
    assert services.plane_of_token(begun.json()["token"]) is not None
    assert not Bmc.objects.exists()


def test_removing_a_host_whose_enrolment_failed_leaves_nothing_of_it():
    host = failed_host()

    services.host_remove(user_make("administrator"), host)

    assert not Host.objects.exists() and not Bmc.objects.exists() and not Plane.objects.exists()
