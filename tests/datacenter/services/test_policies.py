"""A site's policy: kept by administrators, read by everybody, obeyed by the planner."""

from __future__ import annotations

import pytest

from datacenter.models import Policy, Tariff
from datacenter.services.policies import policy_edit
from datacenter.snapshot import planner_policy, policy_of
from hosts.errors import Forbidden, Invalid
from hosts.models import AuditRecord, Site
from tests import factories
from tests.actors import client_of, user_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    return factories.host_make("a1").rack.site


def test_what_is_kept_reaches_the_planner(site: Site) -> None:
    policy_edit(user_of("administrator"), site, {"survive_failures": 2, "max_moves": 7, "objective": "watts"})

    asked = planner_policy(policy_of(site))

    assert (asked.survive_failures, asked.max_moves, asked.objective) == (2, 7, "watts")


def test_money_is_counted_with_the_tariff_and_what_the_building_draws(site: Site) -> None:
    Tariff.objects.create(site=site, price_per_kwh="0.40", pue=1.5)

    policy_edit(user_of("administrator"), site, {"objective": "money"})

    assert planner_policy(policy_of(site)).price_per_kwh == pytest.approx(0.6)


def test_the_audit_log_tells_what_was_changed_and_nothing_else(site: Site) -> None:
    policy_edit(user_of("administrator"), site, {"survive_rack": True, "spare_hosts": 0})

    assert AuditRecord.objects.get(verb="policy_edit").detail == {"survive_rack": True}


@pytest.mark.parametrize(
    ("name", "value"), [("cpu_headroom_percent", 95), ("max_moves", 0), ("survive_failures", 4), ("objective", "luck")]
)
def test_a_value_out_of_its_range_is_refused_at_its_field(site: Site, name: str, value: object) -> None:
    with pytest.raises(Invalid) as refused:
        policy_edit(user_of("administrator"), site, {name: value})

    assert refused.value.field == name
    assert not Policy.objects.exists()


def test_an_operator_may_not_change_it(site: Site) -> None:
    with pytest.raises(Forbidden):
        policy_edit(user_of("operator"), site, {"spare_hosts": 1})


def test_a_viewer_reads_it_in_a_form_that_cannot_be_sent(site: Site) -> None:
    response = client_of("viewer").get(f"/sites/{site.pk}/policy/")

    assert b"Only administrators change the policy." in response.content
    assert client_of("viewer").post(f"/sites/{site.pk}/policy/save/").status_code == 403


def test_the_page_keeps_a_policy_and_shows_a_mistake_at_its_field(site: Site) -> None:
    client = client_of("administrator")
    form = client.get(f"/sites/{site.pk}/policy/").context["form"]
    good = {name: value for name, value in form.initial.items() if value is not None} | {"survive_failures": 1}

    kept = client.post(f"/sites/{site.pk}/policy/save/", good)
    refused = client.post(f"/sites/{site.pk}/policy/save/", good | {"max_moves": "0"})

    assert kept.status_code == 302 and Policy.objects.get().survive_failures == 1
    assert refused.status_code == 422 and "max_moves" in refused.context["form"].errors
    assert Policy.objects.get().max_moves is None


def test_every_field_stands_under_a_heading(site: Site) -> None:
    titles = [title for title, _ in client_of("viewer").get(f"/sites/{site.pk}/policy/").context["groups"]]

    assert "Other" not in titles
