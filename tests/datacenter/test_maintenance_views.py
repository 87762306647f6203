"""The pages of maintenance: where a host's work goes, what must be decided, and the word that hands a host back."""

from __future__ import annotations

import pytest

from datacenter.models import MaintenanceRun
from datacenter.services.maintaining import maintenance_drain, maintenance_roll
from datacenter.services.planning import plan_make
from hosts.models import Host
from tests.actors import client_of
from tests.datacenter.world import a_host, a_site, a_user, a_vm

pytestmark = pytest.mark.django_db


def a_proposed_drain() -> MaintenanceRun:
    alpha = a_host("alpha")
    a_host("beta")
    a_vm("web-1", alpha)
    a_vm("fixed", alpha, is_pinned=True, pin_reason="licence")
    run = maintenance_drain(a_user(), alpha)
    plan_make(run.members.get().plan, {})
    return run


def test_the_page_shows_where_each_workload_goes_and_asks_about_one_that_must_stay():
    run = a_proposed_drain()

    page = client_of("operator").get(f"/maintenance/{run.pk}/").content.decode()

    assert '<td data-label="Goes to">beta</td>' in page
    assert "Shut fixed down" in page
    assert "Empty alpha for maintenance" in page


def test_a_viewer_sees_the_page_without_anything_to_decide():
    run = a_proposed_drain()

    page = client_of("viewer").get(f"/maintenance/{run.pk}/").content.decode()

    assert '<td data-label="Goes to">beta</td>' in page
    assert "Shut fixed down" not in page
    assert "Empty alpha for maintenance" not in page


def test_a_host_is_emptied_by_the_form_with_what_is_to_be_shut_down():
    run = a_proposed_drain()
    fixed = Host.objects.get(name="alpha").workloads.get(name="fixed")
    client = client_of("operator")

    client.post(f"/maintenance/{run.pk}/begin/", {"shut_down": ["not-an-id"]})
    assert MaintenanceRun.objects.get(pk=run.pk).state == "proposed"
    client.post(f"/maintenance/{run.pk}/begin/", {"shut_down": [str(fixed.pk)]})

    assert MaintenanceRun.objects.get(pk=run.pk).state == "running"


def test_the_page_of_a_host_leads_to_its_draining():
    host = a_host("alpha")

    answer = client_of("operator").post(f"/hosts/{host.pk}/maintenance/")

    assert answer.headers["Location"] == f"/maintenance/{MaintenanceRun.objects.get().pk}/"


def test_the_word_that_the_work_is_done_is_given_on_the_page():
    a_host("alpha")
    run = maintenance_roll(a_user(), a_site())
    run.members.update(state="work", plan=None)
    client = client_of("operator")

    assert "The work on alpha is done" in client.get(f"/maintenance/{run.pk}/").content.decode()
    client.post(f"/maintenance/{run.pk}/work-done/", {"number": "1"})

    assert run.members.get().state == "leaving"
