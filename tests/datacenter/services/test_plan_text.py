"""A plan as text: written, read back, refused where it names what is not there, compared; and approval by two."""

from __future__ import annotations

import json
from typing import Any

import pytest

from datacenter.models import Plan, Policy
from datacenter.services.plan_text import plan_import, plan_text, plans_compared
from datacenter.services.planning import plan_make
from datacenter.services.plans import answer_of, plan_approve, plan_request
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import Host
from tests.actors import client_of
from tests.datacenter.services.test_plans import a_proposal, a_sprawled_site
from tests.datacenter.world import a_host, a_site, a_user, a_vm
from workloads.models import Workload

pytestmark = pytest.mark.django_db


def imported(text: Any) -> Plan:
    plan = plan_import(a_user("administrator"), text)
    plan_make(plan, {})
    plan.refresh_from_db()
    return plan


def test_what_is_written_is_read_back_as_the_same_plan():
    a_sprawled_site()
    first = a_proposal()
    text = json.dumps(plan_text(first))

    second = imported(text)

    assert second.state == "proposed", second.reason
    assert plans_compared(first, second) == []
    assert (second.hosts_on_after, second.actions.count()) == (first.hosts_on_after, first.actions.count())
    assert second.savings["saved_watts"] == pytest.approx(first.savings["saved_watts"])
    off = second.actions.filter(kind="power_off").first()
    assert off is not None and off.after


def test_a_text_by_hand_may_name_workloads_and_leave_the_rest_out():
    a_sprawled_site()

    plan = imported({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "beta"}]})

    (act,) = plan.actions.all()
    assert (act.kind, act.workload_name, act.target.name) == ("move", "web-alpha", "beta")
    assert answer_of(plan).goal == "rearrange"


def test_a_host_that_is_not_empty_in_the_end_stays_on():
    a_sprawled_site()
    plan = imported(
        {"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "beta"}], "power_off": ["gamma"]}
    )
    assert not plan.actions.filter(kind="power_off").exists()


def test_a_host_that_is_off_is_woken_for_it():
    a_vm("web", a_host("alpha"))
    a_host("beta", power="off", desired_power="off")

    plan = imported({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web", "to": "beta"}]})

    assert [act.kind for act in plan.actions.order_by("number")] == ["power_on", "move"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no plan of Stowage"),
        ({"stowage_plan": 2, "site": "berlin"}, "no plan of Stowage"),
        ({"stowage_plan": 1, "site": "rome", "power_off": ["alpha"]}, "no site rome"),
        ({"stowage_plan": 1, "site": "berlin"}, "asks for nothing"),
        ({"stowage_plan": 1, "site": "berlin", "moves": "all"}, "a list of moves"),
        ({"stowage_plan": 1, "site": "berlin", "moves": ["web"]}, "A move is written as"),
        ({"stowage_plan": 1, "site": "berlin", "moves": [{"name": 7, "to": "beta"}]}, "are texts"),
        ({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "none", "to": "beta"}]}, "no workload none"),
        ({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "x" * 900}]}, "no host xxx"),
        ({"stowage_plan": 1, "site": "berlin", "power_off": ["nowhere"]}, "no host nowhere"),
    ],
)
def test_a_text_that_makes_no_sense_gets_a_sentence_and_leaves_nothing(text: Any, sentence: str):
    a_sprawled_site()
    with pytest.raises(Invalid, match=sentence) as caught:
        plan_import(a_user(), text)
    assert len(caught.value.message) < 250 and not Plan.objects.exists()


def test_what_is_there_already_is_no_plan():
    a_sprawled_site()
    plan = imported({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "alpha"}]})
    assert plan.state == "failed" and "web-alpha is there already." in plan.reason


def test_a_viewer_imports_nothing():
    a_sprawled_site()
    with pytest.raises(Forbidden):
        plan_import(a_user("viewer"), {"stowage_plan": 1, "site": "berlin", "power_off": ["alpha"]})


def test_plans_that_differ_are_told_apart():
    a_sprawled_site()
    first = imported({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "beta"}]})
    second = Plan.objects.create(site=a_site(), state="proposed")
    workload, hosts = Workload.objects.get(name="web-alpha"), {host.name: host for host in Host.objects.all()}
    second.actions.create(
        number=1,
        kind="move",
        workload=workload,
        workload_name="web-alpha",
        source=hosts["alpha"],
        target=hosts["gamma"],
    )
    second.actions.create(number=2, kind="power_off", source=hosts["alpha"])

    found = {(one.name, one.first, one.second) for one in plans_compared(first, second)}

    assert found == {("web-alpha", "to beta", "to gamma"), ("alpha", "", "switched off")}
    page = client_of("viewer").get(f"/plans/{first.pk}/compare/", {"with": str(second.pk)}).content.decode()
    assert "to gamma" in page and "as it is" in page


def test_the_page_takes_a_text_and_says_what_is_wrong():
    a_sprawled_site()
    client = client_of("administrator")
    wrong = client.post("/plans/import/", {"text": "{"})
    assert wrong.status_code == 422 and "no JSON" in wrong.content.decode()
    text = json.dumps({"stowage_plan": 1, "site": "berlin", "moves": [{"name": "web-alpha", "to": "beta"}]})
    assert client.post("/plans/import/", {"text": text}).status_code == 302
    assert Plan.objects.get().state == "planning"


def test_who_asked_does_not_approve_where_two_people_are_needed():
    a_sprawled_site()
    Policy.objects.create(site=a_site(), two_people=True)
    one, other = a_user("operator"), a_user("administrator")
    plan = plan_request(one, a_site())
    plan_make(plan, {})

    with pytest.raises(Refused, match="somebody else must approve it"):
        plan_approve(one, plan)
    assert plan_approve(other, plan).state == "running"
