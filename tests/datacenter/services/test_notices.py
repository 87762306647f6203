"""The outbox: what goes out as one message, what is tried again, and that nothing goes out twice."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from datacenter.alerts.message import Message
from datacenter.models import AlertNotice, NotificationChannel
from datacenter.services.alerting import alerts_evaluate
from datacenter.services.notices import (
    ATTEMPTS_MOST,
    CLAIM_LAPSES,
    GROUP_FOR,
    channel_send,
    channels_due,
)
from tests.datacenter.alerts.world import (
    LIMIT_S,
    a_channel,
    a_round,
    a_rule,
    find,
    lost_hosts,
    only_rules_of_the_test,
    quiet_store,
)
from tests.datacenter.threads import Threads

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture(autouse=True)
def no_ready_rules(db: None) -> None:
    only_rules_of_the_test()


class Post:
    """A poster that keeps what it was given; `failure` is its answer."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.sent: list[Message] = []

    def __call__(self, kind: str, address: str, message: Message) -> str:
        assert address == "json://hooks.example.org/x"  # decrypted
        self.sent.append(message)
        return self.failure

    @property
    def titles(self) -> list[str]:
        return [message.title for message in self.sent]


def look(now: datetime) -> None:
    alerts_evaluate(quiet_store(), quiet_store(), now, LIMIT_S)


def states() -> list[str]:
    return list(AlertNotice.objects.values_list("state", flat=True))


def test_what_one_rule_finds_within_seconds_goes_out_as_one_message():
    channel = a_channel()
    a_rule("host_lost", name="Host lost", severity="critical", channels=[channel])
    lost_hosts("n1", "n2", "n3")
    look(NOW)
    lost_hosts("n4", "n5")
    look(NOW + timedelta(seconds=10))
    assert channels_due(NOW + timedelta(seconds=11)) == []

    post, due = Post(), NOW + GROUP_FOR
    assert channels_due(due) == [channel.pk]
    assert channel_send(channel.pk, post, due) == 1

    assert post.titles == ["[critical] Host lost: n1, n2, n3 and 2 more"]
    assert post.sent[0].body.count("does not answer") == 5
    assert len(post.sent[0].data["alerts"]) == 5
    assert states() == ["sent"] * 5
    assert channel_send(channel.pk, post, due) == 0


def test_two_rules_and_two_events_go_out_apart():
    channel = a_channel()
    a_rule("host_lost", name="A", channels=[channel])
    a_rule("host_lost", name="B", channels=[channel])
    (host,) = lost_hosts("n1")
    look(NOW)
    post = Post()
    channel_send(channel.pk, post, NOW + GROUP_FOR)
    find(host)
    a_round(after_s=30)
    a_round(after_s=60)
    channel_send(channel.pk, post, timezone.now() + timedelta(minutes=5))

    assert post.titles == [
        "[warning] A: n1",
        "[warning] B: n1",
        "[warning] over: A: n1",
        "[warning] over: B: n1",
    ]
    assert [message.kind for message in post.sent] == ["warning", "warning", "success", "success"]


def test_a_message_that_does_not_get_through_is_tried_again_later_each_time():
    channel = a_channel()
    a_rule("host_lost", channels=[channel])
    lost_hosts("n1")
    look(NOW)
    post, moment, waits = Post("It answered with status 500."), NOW + GROUP_FOR, []
    for _ in range(ATTEMPTS_MOST):
        assert channels_due(moment) == [channel.pk]
        channel_send(channel.pk, post, moment)
        later = AlertNotice.objects.get().next_try_at
        waits.append((later - moment).total_seconds())
        moment = later

    notice = AlertNotice.objects.get()
    assert (notice.state, notice.attempts, notice.failure) == ("failed", ATTEMPTS_MOST, post.failure)
    assert waits[:7] == [15, 30, 60, 120, 300, 600, 600]
    assert NotificationChannel.objects.get().failure == post.failure
    assert channels_due(moment + timedelta(days=1)) == []


def test_while_a_channel_rests_nothing_overtakes_what_failed_and_all_goes_out_in_order():
    channel = a_channel()
    a_rule("host_lost", name="A", channels=[channel])
    lost_hosts("n1")
    look(NOW)
    failing = Post("no")
    channel_send(channel.pk, failing, NOW + GROUP_FOR)
    a_rule("host_lost", name="B", channels=[channel])
    look(NOW + timedelta(seconds=13))

    post = Post()
    assert channel_send(channel.pk, post, NOW + timedelta(seconds=26)) == 0
    assert channel_send(channel.pk, post, NOW + timedelta(seconds=27)) == 2

    assert post.titles == ["[warning] A: n1", "[warning] B: n1"]
    assert NotificationChannel.objects.get().failure == ""


def test_one_channel_that_fails_holds_up_no_other():
    broken, sound = a_channel(), a_channel()
    a_rule("host_lost", channels=[broken, sound])
    lost_hosts("n1")
    look(NOW)
    due = NOW + GROUP_FOR
    assert set(channels_due(due)) == {broken.pk, sound.pk}

    channel_send(broken.pk, Post("no"), due)

    assert channel_send(sound.pk, Post(), due) == 1


def test_a_channel_that_is_switched_off_gets_nothing():
    channel = a_channel(is_enabled=False)
    a_rule("host_lost", channels=[channel])
    lost_hosts("n1")

    look(NOW)

    assert states() == []
    assert channel_send(channel.pk, Post(), NOW) == 0


def test_an_address_under_another_key_is_said_and_kept_waiting(settings):
    channel = a_channel()
    a_rule("host_lost", channels=[channel])
    lost_hosts("n1")
    look(NOW)
    settings.CREDENTIALS_KEY = "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItISE="

    channel_send(channel.pk, Post(), NOW + GROUP_FOR)

    assert "CREDENTIALS_KEY" in NotificationChannel.objects.get().failure
    assert states() == ["waiting"]


def test_workers_at_the_same_time_send_each_notice_once(database_for_threads: Threads):
    def prepare() -> None:
        only_rules_of_the_test()
        channel = a_channel()
        for _ in range(6):
            a_rule("host_lost", channels=[channel])
        lost_hosts("n1", "n2")
        look(NOW)

    post = Post()
    database_for_threads.run(prepare)
    channel_id = database_for_threads.run(lambda: NotificationChannel.objects.get().pk)[0]

    database_for_threads.run(*[lambda: channel_send(channel_id, post, NOW + GROUP_FOR)] * 4)

    assert len(post.sent) == 6
    assert len(set(post.titles)) == 6
    assert all(len(message.data["alerts"]) == 2 for message in post.sent)
    assert database_for_threads.run(states) == [["sent"] * 12]


def test_the_notice_of_a_worker_that_died_goes_out_after_its_claim_has_lapsed():
    channel = a_channel()
    a_rule("host_lost", channels=[channel])
    lost_hosts("n1")
    look(NOW)
    due = NOW + GROUP_FOR

    def die(kind: str, address: str, message: Message) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        channel_send(channel.pk, die, due)
    assert states() == ["sending"]
    assert channels_due(due + CLAIM_LAPSES) == []
    assert channel_send(channel.pk, Post(), due + CLAIM_LAPSES) == 0

    late = due + CLAIM_LAPSES + timedelta(seconds=1)
    assert channels_due(late) == [channel.pk]
    assert channel_send(channel.pk, Post(), late) == 1


def test_a_test_goes_out_once_also_to_a_channel_that_is_switched_off():
    channel = a_channel("Night shift", is_enabled=False)
    NotificationChannel.objects.update(test_asked_at=NOW, test_asked_by_name="admin")
    post = Post("It answered with status 403.")
    assert channels_due(NOW) == [channel.pk]

    channel_send(channel.pk, post, NOW)
    channel_send(channel.pk, post, NOW)

    assert post.titles == ["Stowage: test"]
    assert "admin" in post.sent[0].body and "Night shift" in post.sent[0].body
    channel.refresh_from_db()
    assert (channel.health, channel.failure) == ("failing", post.failure)
