"""Users of the broker, one a plane, with a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from hosts.broker_users import broker_url_for, planes_let_in
from hosts.live_feed import CHANNEL
from hosts.models import Host, Plane
from hosts.plane.watched import KEY as WATCHED_KEY
from hosts.services import plane_token_issue
from tests.factories import host_make, user_make
from tests.hosts.plane.redis_peer import RedisPeer

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(tmp_path: Path, settings) -> Iterator[RedisPeer]:
    peer = RedisPeer(tmp_path)
    peer.start()
    settings.REDIS_URL = settings.PLANE_BROKER_URL = peer.url
    settings.PLANE_BROKER_USERS = True
    yield peer
    peer.kill()


def plane_new(host: Host | None = None) -> Plane:
    host = host or host_make("alpha")
    plane_token_issue(user_make("administrator"), of=host)
    return Plane.objects.get(name=host.name)


def may_enter(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, socket_timeout=5).ping())
    except redis.AuthenticationError:
        return False


def test_a_plane_is_given_a_user_of_its_own(broker: RedisPeer):
    url = broker_url_for(plane_new())

    assert "host.alpha:" in url
    assert may_enter(url)


def test_a_plane_reads_what_is_watched_of_its_own_host_and_of_no_other(broker: RedisPeer):
    own, other = WATCHED_KEY + "alpha", WATCHED_KEY + "beta"
    broker.client.mset({own: "{}", other: "{}"})
    client = redis.Redis.from_url(broker_url_for(plane_new()), socket_timeout=5)

    assert client.get(own) == b"{}"
    for forbidden in (lambda: client.get(other), lambda: client.set(own, "x"), lambda: client.publish(CHANNEL, "x")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            forbidden()


def test_a_new_token_ends_the_old_user_s_password(broker: RedisPeer):
    host = host_make("alpha")
    old = broker_url_for(plane_new(host))
    new = broker_url_for(plane_new(host))

    assert (may_enter(old), may_enter(new)) == (False, True)


def test_planes_that_a_restarted_broker_forgot_are_let_in_again(broker: RedisPeer):
    url = broker_url_for(plane_new())
    broker.kill()
    broker.start()
    assert not may_enter(url)

    assert planes_let_in() == 1

    assert may_enter(url)
    assert planes_let_in() == 0


def test_a_broker_that_is_away_stops_nobody_s_sweep(broker: RedisPeer):
    plane_new()
    broker.kill()

    assert planes_let_in() == 0


def test_a_broker_that_keeps_no_users_of_ours_is_shared(broker: RedisPeer, settings):
    settings.PLANE_BROKER_USERS = False

    assert broker_url_for(plane_new()) == broker.url


def test_a_broker_that_lets_us_make_no_users_is_told_in_the_log_with_what_to_do(
    broker: RedisPeer, settings, client, caplog
):
    token = plane_token_issue(user_make("administrator"), of=host_make("alpha"))
    broker.client.execute_command("ACL", "SETUSER", "poor", "on", "nopass", "~*", "+@all", "-acl")
    settings.REDIS_URL = broker.url.replace("redis://", "redis://poor:x@")

    answer = client.get("/plane/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 503
    assert "PLANE_BROKER_USERS=0" in caplog.text
