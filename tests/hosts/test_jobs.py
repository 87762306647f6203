"""Another job for a freed host, and the record of one that left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from datacenter import planner
from datacenter.planner.model import DataCenter
from datacenter.snapshot import data_center_read, planner_policy, policy_of
from hosts import services
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord, Decommission, Host, HostJob, Operation
from tests.actors import client_of
from tests.datacenter.services.test_plans import a_sprawled_site
from tests.datacenter.world import a_host, a_site, a_user, a_vm

pytestmark = pytest.mark.django_db
LATER = timezone.localdate() + timedelta(days=30)


def world() -> DataCenter:
    return data_center_read(a_site(), timezone.now())


def test_a_lent_host_takes_no_work_and_is_not_switched_off_by_a_plan():
    a_sprawled_site()
    empty = a_host("delta")
    services.host_job_give(a_user(), empty, kind="qa", note="team blue", until=LATER)

    answer = planner.plan(world(), planner_policy(policy_of(a_site())))

    assert str(empty.pk) not in answer.hosts_to_power_off
    assert str(empty.pk) not in answer.placement_after.values()
    (lent,) = [host for host in world().hosts if host.id == str(empty.pk)]
    assert lent.accepts_reason == lent.power_off_reason.rstrip(".") == f"delta is lent to team blue until {LATER}"


def test_a_spare_may_be_switched_off_and_takes_no_work():
    a_sprawled_site()
    empty = a_host("delta")
    services.host_job_give(a_user(), empty, kind="spare")

    answer = planner.plan(world(), planner_policy(policy_of(a_site())))

    assert str(empty.pk) in answer.hosts_to_power_off
    assert str(empty.pk) not in answer.placement_after.values()


def test_only_an_empty_host_gets_another_job():
    host = a_host("alpha")
    a_vm("web", host)
    with pytest.raises(Refused, match=r"alpha still has 1 workload\. Empty it"):
        services.host_job_give(a_user(), host, kind="lab")
    assert not HostJob.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [({"kind": "holiday"}, "kind"), ({"kind": "qa", "until": timezone.localdate() - timedelta(days=1)}, "until")],
)
def test_a_job_that_cannot_be_is_refused_at_its_field(values: dict[str, object], field: str):
    with pytest.raises(Invalid) as caught:
        services.host_job_give(a_user(), a_host("alpha"), **values)
    assert caught.value.field == field


def test_a_host_comes_back():
    host = a_host("alpha")
    services.host_job_give(a_user(), host, kind="development")
    services.host_job_end(a_user(), host)
    assert world().hosts[0].accepts_work
    with pytest.raises(Refused, match="has no other job"):
        services.host_job_end(a_user(), host)


def test_the_page_says_when_it_was_to_come_back():
    host = a_host("alpha")
    HostJob.objects.create(
        host=host, kind="qa", note="team blue", until=timezone.localdate() - timedelta(days=2), given_by_name="ann"
    )
    page = client_of("operator").get(f"/hosts/{host.pk}/").content.decode()
    assert "It was to come back from its other job" in page and "lent to team blue" in page and "Take it back" in page


def test_a_viewer_gives_no_job():
    with pytest.raises(Forbidden):
        services.host_job_give(a_user("viewer"), a_host("alpha"), kind="qa")
    with pytest.raises(Forbidden):
        services.host_decommission(a_user("operator"), a_host("beta", power="off"), typed="beta", is_wiped=True)


def retired(**values: object) -> Decommission:
    host = a_host("alpha", power="off", desired_power="off", facts={"serial": "CZ123"}, cpu_model="EPYC")
    for name in ("mail", "web", "mail"):
        Operation.objects.create(kind="migrate_vm", subject_kind="vm", subject_id=name, subject_name=name, host=host)
    return services.host_decommission(a_user("administrator"), host, **({"typed": "alpha", "is_wiped": True} | values))


def test_what_leaves_is_kept_as_a_signed_record():
    record = retired(note="to the recycler")

    assert not Host.objects.exists() and services.is_genuine(record)
    document = record.document
    assert (document["serial"], document["disks_wiped"], document["note"]) == ("CZ123", True, "to the recycler")
    assert document["ran_last"] == ["mail", "web"] and document["rack"] == "r1"
    assert AuditRecord.objects.filter(verb="host_decommission").exists()
    answer = client_of("viewer").get(f"/api/decommissioned/{record.pk}").json()
    assert answer["is_genuine"] is True


def test_a_record_that_was_changed_is_found_out():
    record = retired()
    record.document["disks_wiped"] = False
    record.save()

    assert not services.is_genuine(Decommission.objects.get())
    assert "changed since it was signed" in client_of("viewer").get("/hosts/decommissioned/").content.decode()


def test_a_host_that_is_on_or_not_empty_or_not_named_stays():
    admin = a_user("administrator")
    on, full = a_host("alpha"), a_host("beta", power="off")
    a_vm("web", full, state="stopped")
    for host, typed, sentence in ((on, "alpha", "not switched off"), (full, "beta", "still has"), (on, "alp", "type")):
        with pytest.raises((Refused, Invalid), match=sentence):
            services.host_decommission(admin, host, typed=typed, is_wiped=False)
    assert Host.objects.count() == 2 and not Decommission.objects.exists()


def test_pages_give_a_job_take_it_back_and_take_out_of_service():
    host = a_host("alpha", power="off", desired_power="off")
    client = client_of("administrator")
    client.post(f"/hosts/{host.pk}/job/", {"kind": "lab", "note": "course", "until": str(LATER)})
    assert HostJob.objects.get().note == "course"
    client.post(f"/hosts/{host.pk}/job/end/")
    assert not HostJob.objects.exists()
    client.post(f"/hosts/{host.pk}/decommission/", {"typed": "alp"})
    assert Host.objects.exists()
    client.post(f"/hosts/{host.pk}/decommission/", {"typed": "alpha", "is_wiped": "on"})
    assert Decommission.objects.get().document["disks_wiped"] is True
