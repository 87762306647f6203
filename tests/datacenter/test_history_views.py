"""The pages of charts: which charts, compared with whom."""

from __future__ import annotations

import pytest
from django.test import Client

from datacenter.views.history import COMPARED_MOST
from hosts.models import Site
from tests import factories
from tests.actors import client_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    return client_of("viewer")


def test_a_host_has_a_chart_for_each_topic_and_buttons_to_take_it_away(viewer: Client):
    page = viewer.get(f"/hosts/{factories.host_make().pk}/history/").content.decode()

    assert page.count("<load-chart") == page.count('data-export="csv"') == page.count('data-export="png"') == 9
    assert "/temperature?" in page


def test_a_site_sums_its_hosts_and_is_compared_with_nothing(viewer: Client):
    factories.host_make()

    page = viewer.get(f"/sites/{Site.objects.get().pk}/history/").content.decode()

    assert "Hosts on" in page
    assert "Compare with" not in page


def test_a_name_that_is_typed_is_compared_in_every_chart(viewer: Client):
    host = factories.host_make()
    vm = factories.vm_make(host, "mail")

    page = viewer.get(f"/hosts/{host.pk}/history/?add=mail&last=300").content.decode()

    assert page.count(f"compare=workload%3A{vm.pk}") >= 9
    assert 'aria-label="Without mail"' in page


def test_a_name_that_nobody_has_is_a_sentence(viewer: Client):
    answer = viewer.get(f"/hosts/{factories.host_make().pk}/history/?add=%3Cb%3Enobody")

    assert answer.status_code == 422
    assert "no workload named &lt;b&gt;nobody" in answer.content.decode()


def test_ids_that_nobody_has_are_passed_over(viewer: Client):
    host = factories.host_make()
    nobody = "00000000-0000-0000-0000-000000000000"

    page = viewer.get(f"/hosts/{host.pk}/history/?compare=workload:{nobody}&compare=x&compare=host:1").content.decode()

    assert nobody not in page


def test_no_more_are_compared_than_a_chart_can_show(viewer: Client):
    host = factories.host_make()
    vms = [factories.vm_make(host) for _ in range(COMPARED_MOST + 1)]
    compared = "&".join(f"compare=workload:{vm.pk}" for vm in vms[:-1])

    answer = viewer.get(f"/hosts/{host.pk}/history/?{compared}&add={vms[-1].name}")

    assert answer.status_code == 422
    assert str(vms[-1].pk) not in answer.content.decode()


def test_the_pages_of_host_and_workload_lead_to_their_charts(viewer: Client):
    host = factories.host_make()
    vm = factories.vm_make(host)

    assert f"/hosts/{host.pk}/history/" in viewer.get(f"/hosts/{host.pk}/").content.decode()
    assert f"/workloads/{vm.pk}/history/" in viewer.get(f"/workloads/{vm.pk}/").content.decode()
