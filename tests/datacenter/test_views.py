from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from datacenter.models import Plan
from datacenter.services.planning import plan_make
from datacenter.views.login import LIMITS
from hosts.models import Host, Operation, Site
from tests import factories
from tests.actors import client_of

pytestmark = pytest.mark.django_db
PASSWORD = "a password of some length"


@pytest.fixture(autouse=True)
def no_counts_from_before() -> None:
    cache.clear()


@pytest.fixture
def operator() -> Client:
    return client_of("operator")


def small_site() -> None:
    """Two hosts, the work of which fits on one."""
    able = {"hypervisor": "QEMU 7.2", "engine": "Docker 20.10", "architecture": "x86_64"}
    first, second = factories.host_make("node-1", **able), factories.host_make("node-2", **able)
    factories.vm_make(first, "mail")
    factories.container_make(second, "cache")


def proposed_plan() -> Plan:
    small_site()
    plan = Plan.objects.create(site=Site.objects.get(), requested_by_name="somebody")
    plan_make(plan, {})
    plan.refresh_from_db()
    return plan


# -- overview -------------------------------------------------------------------------------------------


def test_an_empty_house_tells_an_administrator_what_to_do_next():
    page = client_of("administrator").get("/").content.decode()

    assert "No host yet" in page
    assert "/hosts/enrol/" in page


def test_the_overview_draws_hosts_with_their_workloads(operator: Client):
    small_site()
    factories.host_make("node-3", power="off", desired_power="off")

    page = operator.get("/").content.decode()

    assert "<strong>2 of 3</strong>" in page
    assert "mail" in page and "cache" in page
    assert "tile is-off" in page


def test_the_queries_of_the_overview_do_not_grow_with_hosts_and_workloads(operator: Client):
    small_site()
    with CaptureQueriesContext(connection) as few:
        operator.get("/")
    for _ in range(15):
        host = factories.host_make()
        factories.vm_make(host)

    with CaptureQueriesContext(connection) as many:
        operator.get("/")

    assert len(many) == len(few)


def test_a_figure_of_savings_says_how_it_was_computed(operator: Client):
    small_site()

    assert "would draw its idle watts" in operator.get("/").content.decode()


# -- plans ----------------------------------------------------------------------------------------------


def test_asking_for_a_plan_leads_to_its_page(operator: Client):
    small_site()

    response = operator.post("/plans/request/", {"site": Site.objects.get().pk})

    assert response["Location"] == f"/plans/{Plan.objects.get().pk}/"
    assert "The planner is at work" in operator.get(response["Location"]).content.decode()


@pytest.mark.parametrize("site", ["", "x", "99999", "9" * 40, "-1"])
def test_asking_for_a_plan_of_no_site_is_a_sentence(operator: Client, site: str):
    response = operator.post("/plans/request/", {"site": site})

    assert response.status_code == 404
    assert "There is no such site" in response.content.decode()


def test_a_review_shows_today_beside_proposed_with_reasons(operator: Client):
    plan = proposed_plan()

    page = operator.get(f"/plans/{plan.pk}/")

    review = page.context["review"]
    assert (review.today.on_count, review.proposed.on_count) == (2, 1)
    marks = [chip.mark for _, hosts in review.proposed.racks for host in hosts for chip in host.chips]
    assert marks.count("came") == len(review.answer.moves) == 1
    text = page.content.decode()
    assert "Why these hosts stay on" in text
    assert review.kept[0].sentence in text.replace("&#x27;", "'")
    assert plan.savings["how"].split(".")[0] in text


def test_a_plan_is_approved_rejected_and_stopped_by_its_buttons(operator: Client):
    plan = proposed_plan()
    labels = [button.label for button in operator.get(f"/plans/{plan.pk}/").context["buttons"]]
    assert labels == ["Ask again", "Reject", "Approve and carry out"]

    operator.post(f"/plans/{plan.pk}/approve/")
    plan.refresh_from_db()
    assert plan.state == "running"

    operator.post(f"/plans/{plan.pk}/stop/")
    plan.refresh_from_db()
    assert plan.state == "stopped"
    assert [button.key for button in operator.get(f"/plans/{plan.pk}/").context["buttons"]] == ["again", "undo"]


def test_a_plan_older_than_the_world_is_refused_with_a_sentence(operator: Client):
    plan = proposed_plan()
    factories.vm_make(factories.host_make("node-9"))

    page = operator.post(f"/plans/{plan.pk}/approve/", follow=True).content.decode()

    assert "changed" in page
    plan.refresh_from_db()
    assert plan.state == "proposed"


def test_draining_a_host_asks_for_a_plan(operator: Client):
    small_site()
    host = Site.objects.get().racks.get().hosts.get(name="node-1")

    operator.post(f"/hosts/{host.pk}/drain/")

    assert Plan.objects.get().document["evacuate"] == str(host.pk)


# -- login ----------------------------------------------------------------------------------------------


def test_the_login_page_writes_nothing():
    with CaptureQueriesContext(connection) as caught:
        response = Client().get("/login/")

    assert response.status_code == 200
    assert len(caught) == 0
    assert "stowage_session" not in response.cookies


def test_a_session_begins_at_login_under_a_new_key():
    user = factories.user_make("viewer", "anna")
    user.set_password(PASSWORD)
    user.save()
    client = Client()
    client.cookies["stowage_session"] = "a" * 32

    response = client.post("/login/", {"username": "anna", "password": PASSWORD})

    assert response.status_code == 302
    assert response.cookies["stowage_session"].value != "a" * 32


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/%2f..", "javascript:alert(1)", "/\\evil.example"]
)
def test_after_login_nobody_is_sent_elsewhere(elsewhere: str):
    user = factories.user_make("viewer", "anna")
    user.set_password(PASSWORD)
    user.save()

    response = Client().post("/login/", {"username": "anna", "password": PASSWORD, "next": elsewhere})

    assert response["Location"] == "/"


def attempt(username: str = "anna", password: str = "wrong", address: str = "10.0.0.1") -> int:
    values = {"username": username, "password": password}
    return Client().post("/login/", values, REMOTE_ADDR=address).status_code


def test_guessing_one_account_is_barred_even_with_the_right_password():
    user = factories.user_make("viewer", "anna")
    user.set_password(PASSWORD)
    user.save()

    for _ in range(LIMITS["pair"]):
        assert attempt() == 200

    assert attempt(password=PASSWORD) == 429
    assert attempt(password=PASSWORD, address="10.0.0.2") == 302


def test_spraying_accounts_from_one_address_is_barred(monkeypatch):
    monkeypatch.setitem(LIMITS, "address", 5)
    for number in range(LIMITS["address"]):
        attempt(username=f"user-{number}")

    assert attempt(username="another") == 429


def test_logging_out_is_no_link(operator: Client):
    assert operator.get("/logout/").status_code == 405
    assert operator.get("/").status_code == 200


def test_a_new_password_ends_the_other_logins():
    user = factories.user_make("viewer", "anna")
    user.set_password(PASSWORD)
    user.save()
    here, there = Client(), Client()
    for client in (here, there):
        assert client.login(username="anna", password=PASSWORD)

    new = "quite another password"
    here.post("/password/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert here.get("/").status_code == 200
    assert there.get("/").status_code == 302


# -- what a browser is told ---------------------------------------------------------------------------


def test_every_page_carries_the_strict_policy(operator: Client):
    policy = operator.get("/")["Content-Security-Policy"]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


def test_no_template_breaks_the_policy():
    templates = list((Path(django_settings.BASE_DIR) / "templates").rglob("*.html"))
    assert len(templates) > 30

    for template in templates:
        text = template.read_text()
        assert not re.search(r"\sstyle=[\"']|<style|\son\w+=|javascript:|hx-on", text), template
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), template
        assert "|safe" not in text and "autoescape off" not in text, template


def test_no_script_of_ours_writes_html():
    for script in (Path(django_settings.BASE_DIR) / "static" / "js").rglob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script.read_text()), (
            script
        )


def test_a_list_of_operations_can_be_searched(operator: Client):
    for name in ("mail", "cache"):
        Operation.objects.create(kind="start_workload", subject_kind="vm", subject_id="x", subject_name=name)

    page = operator.get("/operations/?q=mai").context["page"]

    assert [operation.subject_name for operation in page] == ["mail"]


def test_a_plan_that_changes_nothing_is_not_offered_for_approval(operator: Client):
    site = factories.rack_make().site
    plan = Plan.objects.create(site=site, state="proposed", hosts_on_before=2, hosts_on_after=2)

    labels = [button.label for button in operator.get(f"/plans/{plan.pk}/").context["buttons"]]

    assert labels == ["Ask again", "Put it aside"]


def test_the_overview_says_to_wait_while_hosts_are_being_enrolled(operator: Client):
    factories.host_make("alpha", lifecycle=Host.Lifecycle.ENROLLING)

    page = operator.get("/").content.decode()

    assert "The hosts are being enrolled." in page
    assert "Ask for a plan" not in page


def test_the_overview_shows_what_a_workload_should_be_where_it_is_not(operator: Client):
    factories.vm_make(factories.host_make("alpha"), "web-1", state="stopped")

    page = operator.get("/").content.decode()

    assert "should be running" in page
    assert "1 workload does not run." in page


def test_a_machine_switched_past_stowage_says_what_it_should_be(operator: Client):
    host = factories.host_make("alpha", power="on", desired_power="off")

    assert "alpha should be off, but it is on" in operator.get(f"/hosts/{host.pk}/").content.decode()
