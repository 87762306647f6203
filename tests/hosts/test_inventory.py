"""What an observation says of the host itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from hosts.inventory import host_observe, pools_observe
from hosts.models import Host, PoolMount
from tests.datacenter.world import a_host, observation

pytestmark = pytest.mark.django_db


def test_an_old_sequence_number_is_ignored():
    host = a_host("alpha", observed_sequence=10)

    assert host_observe(host, observation(host, sequence=10), timezone.now()) is False


def test_a_plane_that_lost_its_state_file_is_heard_again_after_half_a_minute():
    now = timezone.now()
    host = a_host("alpha", observed_sequence=10, last_seen_at=now - timedelta(seconds=31))

    assert host_observe(host, observation(host, sequence=1), now) is True


def test_an_unchanged_host_is_written_at_most_every_five_seconds(django_assert_num_queries):
    now = timezone.now()
    host = a_host("alpha")
    host_observe(host, observation(host), now)

    with django_assert_num_queries(0):
        host_observe(host, observation(host), now + timedelta(seconds=4))
    with django_assert_num_queries(1):
        host_observe(host, observation(host), now + timedelta(seconds=6))


def test_a_pulled_link_is_written_at_once():
    host = a_host("alpha")
    host_observe(host, observation(host), timezone.now())

    host_observe(host, observation(host, links=[{"name": "eth0", "carrier": False, "rx_bytes": 5}]), timezone.now())

    host.refresh_from_db()
    assert host.links[0]["carrier"] is False
    assert "rx_bytes" not in host.links[0]


def test_a_speaking_host_is_on():
    now = timezone.now()
    host = a_host("alpha", power=Host.Power.OFF, power_read_at=now - timedelta(minutes=1))

    host_observe(host, observation(host), now)

    host.refresh_from_db()
    assert host.power == Host.Power.ON


def test_last_words_of_a_host_that_was_just_switched_off_do_not_turn_it_on():
    now = timezone.now()
    host = a_host("alpha", power=Host.Power.OFF, power_read_at=now)

    host_observe(host, observation(host, at=now.timestamp() - 2), now)

    host.refresh_from_db()
    assert host.power == Host.Power.OFF


def test_an_engine_that_does_not_answer_gives_the_sentence():
    host = a_host("alpha")

    host_observe(host, observation(host, engine={"ok": False, "sentence": "dockerd is frozen."}), timezone.now())

    host.refresh_from_db()
    assert host.engine_sentence == "dockerd is frozen."


def test_two_hosts_that_read_one_identity_share_the_pool():
    alpha, beta = a_host("alpha"), a_host("beta")
    row = {"name": "shared", "path": "/srv", "pool_id": "p-1", "capacity_gib": 10.0, "free_gib": 5.0}

    pools_observe(alpha, {"pools": [row]})
    pools_observe(beta, {"pools": [row]})

    assert PoolMount.objects.values_list("pool__pool_id", flat=True).distinct().get() == "p-1"


def test_an_observation_without_pools_removes_none():
    alpha = a_host("alpha")
    pools_observe(alpha, {"pools": [{"name": "s", "path": "/s", "pool_id": "p", "capacity_gib": 1, "free_gib": 1}]})

    pools_observe(alpha, {"pools": None})

    assert Host.objects.get().pool_mounts.count() == 1
