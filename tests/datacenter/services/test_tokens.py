"""API tokens: kept as a hash, shown once, expiring, revoked, never stronger than their owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from datacenter.models import ApiToken
from datacenter.services.tokens import token_issue, token_of, token_revoke
from hosts.errors import Forbidden, Invalid, Refused
from hosts.models import AuditRecord
from tests.actors import client_of
from tests.factories import user_make

pytestmark = pytest.mark.django_db
METRICS = ApiToken.Scope.METRICS


@pytest.fixture
def administrator():
    return user_make("administrator")


def test_the_secret_opens_and_stands_nowhere(administrator):
    token, secret = token_issue(administrator, name="grafana", days=30)

    assert token_of(secret, METRICS) == token
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM datacenter_apitoken")
        assert secret not in str(cursor.fetchall())
    assert secret not in str(list(AuditRecord.objects.values_list("detail", "thing_name")))


@pytest.mark.parametrize("wrong", ["", "stw_", "x", "stw_" + "A" * 43])
def test_another_secret_opens_nothing(administrator, wrong: str):
    token_issue(administrator, name="grafana", days=30)

    assert token_of(wrong, METRICS) is None


def test_an_expired_token_opens_nothing(administrator):
    _, secret = token_issue(administrator, name="grafana", days=1)

    assert token_of(secret, METRICS, timezone.now() + timedelta(days=1, seconds=1)) is None


def test_a_revoked_token_opens_nothing_and_is_revoked_once(administrator):
    token, secret = token_issue(administrator, name="grafana", days=1)
    token_revoke(administrator, token)

    assert token_of(secret, METRICS) is None
    with pytest.raises(Refused):
        token_revoke(administrator, token)
    assert AuditRecord.objects.filter(verb="api_token_revoke").count() == 1


def test_a_token_ends_with_its_owners_right(administrator):
    _, secret = token_issue(administrator, name="grafana", days=1)
    administrator.groups.clear()

    assert token_of(secret, METRICS) is None


def test_a_token_ends_with_its_owners_account(administrator):
    _, secret = token_issue(administrator, name="grafana", days=1)
    administrator.is_active = False
    administrator.save()

    assert token_of(secret, METRICS) is None


def test_its_use_is_noted_once_a_minute(administrator):
    token, secret = token_issue(administrator, name="grafana", days=1)
    first = timezone.now()
    for seconds in (0, 30, 59):
        token_of(secret, METRICS, first + timedelta(seconds=seconds))

    token.refresh_from_db()
    assert token.last_used_at == first


@pytest.mark.parametrize("role", ["viewer", "operator", None])
def test_only_administrators_give_out_and_revoke(administrator, role: str | None):
    token, _ = token_issue(administrator, name="grafana", days=1)

    with pytest.raises(Forbidden):
        token_issue(user_make(role), name="mine", days=1)
    with pytest.raises(Forbidden):
        token_revoke(user_make(role), token)


@pytest.mark.parametrize(("name", "days"), [("", 1), ("  \0", 1), ("x" * 64, 1), ("x", 0), ("x", 10**6)])
def test_a_token_that_cannot_be_is_refused(administrator, name: str, days: int):
    with pytest.raises(Invalid):
        token_issue(administrator, name=name, days=days)


def test_the_page_shows_the_secret_once():
    client = client_of("administrator")

    shown = client.post("/tokens/new/", {"name": "<b>grafana", "days": "90"})
    (token,) = ApiToken.objects.all()
    page = shown.content.decode()
    secret = page.split('id="token">')[1].split("<")[0]

    assert token_of(secret, METRICS) == token
    assert shown["Cache-Control"] == "no-store"
    assert "&lt;b&gt;grafana" in page
    assert secret not in client.get("/tokens/").content.decode()
    assert token.secret_sha256 not in client.get(f"/admin/datacenter/apitoken/{token.pk}/change/").content.decode()


def test_revoking_on_the_page():
    client = client_of("administrator")
    client.post("/tokens/new/", {"name": "grafana", "days": "90"})
    token = ApiToken.objects.get()

    client.post(f"/tokens/{token.pk}/revoke/")

    token.refresh_from_db()
    assert token.state == "revoked"
