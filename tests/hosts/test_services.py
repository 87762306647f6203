"""Services of the hosts floor: who may, what is refused, and that a refusal leaves nothing."""

from __future__ import annotations

import pytest

from hosts import services
from hosts.credentials import password_decrypt, token_hash
from hosts.drivers.fake import FakeDomain
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Bmc, Host, Operation, Plane, Rack, Site
from tests.factories import host_make, rack_make, user_make, vm_make
from tests.hosts.operations.harness import Trouble
from tests.saga_samples import FACTS, SAMPLES, place_make

pytestmark = pytest.mark.django_db
State = Operation.State


def enrol(**values):
    given = {"name": "web-07", "rack": rack_make(), "management_address": "10.0.0.7"}
    return services.host_enrol(user_make("administrator"), **(given | values))


def test_a_host_on_its_way_in_gets_a_token_of_which_only_the_hash_is_kept():
    enrolment = enrol()

    plane = Plane.objects.get(name="web-07")
    assert plane.token_sha256 == token_hash(enrolment.token)
    assert services.plane_of_token(enrolment.token) == plane
    assert services.plane_of_token("something else") is None


def test_the_bmc_password_is_kept_encrypted_and_appears_nowhere_else():
    enrolment = enrol(bmc_url="https://10.0.0.9", bmc_username="admin", bmc_password="hunter2-hunter2")

    kept = bytes(Bmc.objects.get().password_encrypted)
    assert b"hunter2" not in kept
    assert password_decrypt(kept) == "hunter2-hunter2"
    assert "hunter2" not in str(enrolment.operation.parameters)
    assert "hunter2" not in str(list(AuditRecord.objects.values()))


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_administrators_enrol(role):
    with pytest.raises(Forbidden, match="administrators"):
        services.host_enrol(user_make(role), name="web-07", rack=rack_make(), management_address="10.0.0.7")
    assert not Host.objects.exists()


@pytest.mark.parametrize("name", ["", "-rf", "../etc", "a b", "we\nb", "x" * 64, "<b>x", "web;rm"])
def test_a_hostile_name_is_refused_at_its_field(name):
    with pytest.raises(Invalid) as caught:
        enrol(name=name)
    assert caught.value.field == "name"
    assert not Host.objects.exists()


def test_a_name_that_is_taken_is_refused():
    host_make("web-07")

    with pytest.raises(Invalid, match="already a host web-07") as caught:
        enrol()
    assert caught.value.field == "name"
    assert Host.objects.count() == 1


def test_an_address_that_is_taken_is_refused_naming_its_owner():
    host_make("web-01", management_address="10.0.0.7")

    with pytest.raises(Invalid, match=r"address of web-01"):
        enrol()


@pytest.mark.parametrize("address", ["", "web-07", "10.0.0", "10.0.0.7; reboot", "10.0.0.7/24"])
def test_an_address_that_is_none_is_refused_at_its_field(address):
    with pytest.raises(Invalid, match="IPv4 or IPv6 address") as caught:
        enrol(management_address=address)
    assert caught.value.field == "management_address"
    assert not Host.objects.exists()


def test_the_bmc_of_another_host_is_refused_and_leaves_no_host():
    other = host_make("web-01")

    with pytest.raises(Invalid, match=r"BMC of web-01"):
        enrol(bmc_url=other.bmc.url, bmc_system=other.bmc.system)
    assert Host.objects.count() == 1


@pytest.mark.parametrize("url", ["ftp://10.0.0.9", "10.0.0.9", "http://", "http://user:pw@10.0.0.9"])
def test_a_bmc_address_that_is_no_plain_url_is_refused_and_leaves_no_host(url):
    with pytest.raises(Invalid) as caught:
        enrol(bmc_url=url)
    assert caught.value.field == "bmc_url"
    assert not Host.objects.exists()
    assert not Plane.objects.exists()


def test_watts_at_full_load_below_those_when_idle_are_refused():
    with pytest.raises(Invalid, match="at least those when idle"):
        enrol(idle_watts=300, peak_watts=100)


def test_an_unreachable_host_fails_its_enrolment_with_what_to_do_and_can_be_tried_again_or_removed():
    sample = SAMPLES["enrol_host"][0]()
    sample.harness.troubles = [Trouble("ping", "silent", 10**6)]

    operation = sample.harness.run(sample.operation)

    assert operation.state == State.FAILED
    assert "Nobody answers on host gamma" in operation.message
    assert "hostd" in operation.message
    host = Host.objects.get(name="gamma")
    assert host.lifecycle == "failed"
    assert host.lifecycle_reason == operation.message
    again = services.host_retry_enrolment(user_make("administrator"), host)
    sample.harness.troubles = []
    assert sample.harness.run(again.operation).state == State.DONE
    assert services.plane_of_token(again.token) is not None


def test_wrong_bmc_credentials_fail_the_enrolment_with_the_bmcs_words():
    sample = SAMPLES["enrol_host"][0]()
    sample.harness.troubles = [Trouble("check_bmc", "refused", 10**6)]

    operation = sample.harness.run(sample.operation)

    assert operation.state == State.FAILED
    assert "stw0" not in sample.world.hosts["gamma"].bridges


def test_a_machine_enrolled_under_another_name_is_refused_and_leaves_no_bridge():
    sample = SAMPLES["enrol_host"][0]()
    Host.objects.filter(name="alpha").update(machine_id=FACTS["machine_id"])

    operation = sample.harness.run(sample.operation)

    assert operation.state == State.FAILED
    assert "enrolled already, as alpha" in operation.message
    assert "stw0" not in sample.world.hosts["gamma"].bridges


def test_two_machines_with_one_libvirt_uuid_are_refused():
    sample = SAMPLES["enrol_host"][0]()
    Host.objects.filter(name="alpha").update(facts={"host_uuid": FACTS["host_uuid"]})

    operation = sample.harness.run(sample.operation)

    assert operation.state == State.FAILED
    assert "host_uuid" in operation.message


def test_a_host_with_workloads_is_not_removed():
    host = host_make()
    vm_make(host)

    with pytest.raises(Refused, match="still has 1 workload"):
        services.host_remove(user_make("administrator"), host)
    assert Host.objects.filter(pk=host.pk).exists()


def test_a_removed_hosts_token_stops_working():
    enrolment = enrol()
    Operation.objects.all().delete()

    services.host_remove(user_make("administrator"), enrolment.host)

    assert services.plane_of_token(enrolment.token) is None


def test_an_operator_may_power_off_and_a_viewer_may_not():
    host = host_make()

    with pytest.raises(Forbidden):
        services.host_power_off(user_make("viewer"), host)
    assert services.host_power_off(user_make("operator"), host).state == State.QUEUED


def test_a_host_without_a_bmc_is_not_powered_off():
    with pytest.raises(Refused, match="has no BMC"):
        services.host_power_off(user_make("operator"), host_make(with_bmc=False))


def test_a_host_that_is_not_empty_stays_on_and_open():
    """Faults F38: what runs there is asked of the host itself, whatever the database believes."""
    sample = SAMPLES["host_power_off"][0]()
    stranger = FakeDomain("99999999-2222-3333-4444-555555555555", "by-hand", state="running")
    sample.world.hosts["beta"].domains[stranger.uuid] = stranger

    operation = sample.harness.run(sample.operation)

    assert operation.state == State.FAILED
    assert "by-hand" in operation.message
    host = Host.objects.get(name="beta")
    assert (host.is_cordoned, host.desired_power) == (False, "on")
    assert sample.world.hosts["beta"].powered


def test_a_host_that_is_being_moved_to_is_not_powered_off():
    place = place_make()
    Operation.objects.create(
        kind="migrate_vm", subject_kind="vm", subject_id="x", subject_name="web-1", target_host=place.beta
    )

    operation = place.harness.run(services.host_power_off(place.user, place.beta))

    assert operation.state == State.FAILED or operation.message
    assert "in use by" in operation.message


def test_a_rack_at_a_site_that_is_not_known_makes_the_site():
    services.rack_create(user_make("administrator"), site="north", name="r1")

    assert Rack.objects.get(name="r1").site == Site.objects.get(name="north")
    with pytest.raises(Invalid, match="already has a rack"):
        services.rack_create(user_make("administrator"), site="north", name="r1")


def test_editing_the_power_model_is_audited():
    host = host_make()

    services.host_edit(user_make("administrator", "ann"), host, idle_watts=50, peak_watts=200)

    host.refresh_from_db()
    assert (host.idle_watts, host.peak_watts) == (50, 200)
    assert AuditRecord.objects.get(verb="host_edit").user_name == "ann"
