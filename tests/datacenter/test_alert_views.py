"""Pages of alerts, rules, channels and silences, as people use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datacenter.models import Alert, AlertNotice, AlertRule, NotificationChannel, Silence
from hosts.credentials import password_decrypt
from hosts.models import AuditRecord
from tests.actors import client_of
from tests.datacenter.alerts.world import a_channel, a_rule, an_alert
from tests.factories import host_make, vm_make

pytestmark = pytest.mark.django_db
NASTY = "<img src=x onerror=alert(1)>"


def text(client: Any, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return response.content.decode()


RULE = {
    "name": "Memory",
    "severity": "critical",
    "kind": "metric",
    "metric": "stowage_host_memory_used_ratio",
    "event": "",
    "comparison": "above",
    "threshold": "95",
    "for_s": "600",
    "scope": "all",
    "margin_percent": "5",
    "remind_hours": "24",
    "is_enabled": "on",
}
MAIL = {
    "name": "Night shift",
    "is_enabled": "on",
    "server": "10.0.0.25",
    "security": "starttls",
    "username": "stowage",
    "password": "canary-password",
    "sender": "stowage@example.org",
    "recipients": "ops@example.org",
}


def test_an_installation_without_alerts_says_what_to_do_next():
    page = text(client_of("administrator"), "/alerts/")

    assert "Nothing is wrong" in page
    assert "/channels/" in page


def test_open_alerts_come_first_and_the_filter_finds_one():
    host = host_make("alpha")
    an_alert(host, sentence="the newest", state="resolved", resolved_at=timezone.now())
    an_alert(vm_make(host, "web-1"), sentence="the oldest", since=timezone.now() - timedelta(days=1))
    client = client_of("viewer")

    page = text(client, "/alerts/")

    assert page.index("the oldest") < page.index("the newest")
    assert "the newest" not in text(client, "/alerts/?state=open")
    assert "the oldest" not in text(client, "/alerts/?q=alpha")
    assert "No alert matches" in text(client, "/alerts/?severity=info")


def test_a_list_of_alerts_asks_as_often_for_many_as_for_few():
    client, host = client_of("operator"), host_make()
    an_alert(host)
    with CaptureQueriesContext(connection) as few:
        client.get("/alerts/")
    for number in range(20):
        an_alert(vm_make(host, f"vm-{number}"))

    with CaptureQueriesContext(connection) as many:
        client.get("/alerts/")

    assert len(many) == len(few)


def test_what_guests_and_hosts_say_is_shown_as_text():
    an_alert(host_make("alpha"), sentence=NASTY, thing_name=NASTY)
    client = client_of("operator")

    for address in ("/alerts/", f"/alerts/{Alert.objects.get().pk}/", "/"):
        assert NASTY not in text(client, address)


def test_an_operator_acknowledges_and_silences_from_the_list():
    alert = an_alert(host_make("alpha"))
    client = client_of("operator")

    client.post(f"/alerts/{alert.pk}/acknowledge/")
    client.post(f"/alerts/{alert.pk}/silence/", {"hours": "8", "reason": "new disk"})

    alert.refresh_from_db()
    assert alert.acknowledged_by_name.startswith("operator")
    silence = Silence.objects.get()
    assert (silence.rule, silence.thing_id, silence.reason) == (alert.rule, str(alert.host_id), "new disk")
    assert timedelta(hours=7, minutes=59) < silence.until - timezone.now() <= timedelta(hours=8)


def test_a_silence_without_a_reason_is_refused():
    alert = an_alert(host_make())
    client = client_of("operator")

    client.post(f"/alerts/{alert.pk}/silence/", {"hours": "8", "reason": " "}, follow=True)

    assert not Silence.objects.exists()


def test_a_viewer_reads_why_they_may_not_acknowledge():
    an_alert(host_make())

    page = text(client_of("viewer"), "/alerts/")

    assert "Your role only allows looking" in page
    assert "Silence it" not in page


def test_a_silence_is_begun_and_ended_on_its_page():
    client, host = client_of("operator"), host_make("alpha")

    client.post("/silences/new/", {"hours": "24", "reason": "new switch", "host": str(host.pk)})
    assert "host alpha" in text(client, "/silences/")
    client.post(f"/silences/{Silence.objects.get().pk}/end/")

    silence = Silence.objects.get()
    assert silence.until <= timezone.now()
    assert silence.ended_by_name.startswith("operator")


def test_a_rule_is_made_changed_and_removed():
    client, channel = client_of("administrator"), a_channel("chat")

    client.post("/alert-rules/new/", RULE | {"channels": [str(channel.pk)]})
    rule = AlertRule.objects.get(name="Memory")
    assert (rule.threshold, rule.for_s, list(rule.channels.all())) == (95, 600, [channel])
    page = text(client, "/alert-rules/")
    assert "Host: Memory in use, of what the host has: above 95 % for 10 min" in page
    assert "over once it is below 90.2 %" in page

    alert = an_alert(host_make(), rule)
    client.post(f"/alert-rules/{rule.pk}/", RULE | {"threshold": "90"})
    rule.refresh_from_db()
    alert.refresh_from_db()
    assert (rule.threshold, list(rule.channels.all()), alert.state) == (90, [], "firing")

    client.post(f"/alert-rules/{rule.pk}/remove/")
    alert.refresh_from_db()
    assert (alert.state, alert.rule) == ("resolved", None)
    assert not AlertRule.objects.filter(name="Memory").exists()


def test_a_rule_that_watches_something_else_ends_its_alerts():
    rule = a_rule(metric="stowage_host_memory_used_ratio", threshold=95)
    alert = an_alert(host_make(), rule, told_at=timezone.now())
    channel = a_channel()
    AlertNotice.objects.create(
        alert=alert, channel=channel, event="fired", state="sent", next_try_at=timezone.now(), created_at=timezone.now()
    )

    client_of("administrator").post(f"/alert-rules/{rule.pk}/", RULE | {"metric": "stowage_host_load_1m"})

    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.notices.filter(event="resolved").count() == 1


def test_a_rule_that_is_switched_off_ends_its_alerts_and_is_on_again_by_the_same_button():
    rule = a_rule("host_lost")
    alert = an_alert(host_make(), rule)
    client = client_of("administrator")

    client.post(f"/alert-rules/{rule.pk}/enable/", {"on": "0"})
    alert.refresh_from_db()
    rule.refresh_from_db()
    assert (alert.state, rule.is_enabled) == ("resolved", False)

    client.post(f"/alert-rules/{rule.pk}/enable/", {"on": "1"})
    rule.refresh_from_db()
    assert rule.is_enabled


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metric": ""}, "Choose a metric."),
        ({"threshold": ""}, "Give the threshold in %."),
        ({"scope": "host"}, "Choose the host."),
        ({"scope": "workload"}, "Choose the workload."),
        ({"kind": "event"}, "Choose an event."),
        ({"kind": "event", "event": "pool_nearly_full", "threshold": "150"}, "Give 1 to 100 %"),
        ({"name": "Host lost"}, "There is already a rule Host lost."),
        ({"threshold": "nan"}, "Enter a number."),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_at_its_field(change: dict[str, str], said: str):
    response = client_of("administrator").post("/alert-rules/new/", RULE | change)

    assert response.status_code == 422
    assert said in response.content.decode()


def test_every_metric_is_offered_with_its_unit():
    page = text(client_of("administrator"), "/alert-rules/new/")

    assert 'value="stowage_host_memory_used_ratio" data-unit="%"' in page
    assert 'value="stowage_workload_disk_read_bytes_total" data-unit="MiB/s"' in page
    assert 'value="pool_nearly_full" data-unit="%"' in page


def test_the_secrets_of_a_channel_are_kept_encrypted_and_shown_nowhere():
    client = client_of("administrator")

    client.post("/channels/new/?kind=mail", MAIL)

    channel = NotificationChannel.objects.get()
    assert channel.shown == "ops@example.org by 10.0.0.25:587"
    assert b"canary" not in bytes(channel.address_encrypted)
    assert "canary-password" in password_decrypt(bytes(channel.address_encrypted))
    pages = ["/channels/", f"/channels/{channel.pk}/", f"/admin/datacenter/notificationchannel/{channel.pk}/change/"]
    for address in pages:
        assert "canary" not in text(client, address)
    assert "canary" not in client.get("/api/channels").content.decode()
    assert "canary" not in str(list(AuditRecord.objects.values()))


def test_a_channel_keeps_its_address_when_only_its_name_is_changed_and_takes_a_new_one_as_a_whole():
    client = client_of("administrator")
    client.post("/channels/new/?kind=mail", MAIL)
    channel = NotificationChannel.objects.get()
    before = bytes(channel.address_encrypted)

    client.post(f"/channels/{channel.pk}/", {"name": "Day shift", "security": "starttls"})
    channel.refresh_from_db()
    assert (channel.name, channel.is_enabled, bytes(channel.address_encrypted)) == ("Day shift", False, before)

    response = client.post(f"/channels/{channel.pk}/", {"name": "Day shift", "security": "ssl", "server": "10.0.0.66"})
    assert response.status_code == 422  # the stored password is sent to no other server
    channel.refresh_from_db()
    assert bytes(channel.address_encrypted) == before


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("webhook", {"url": "http://127.0.0.1:6379/"}),
        ("webhook", {"url": "http://localhost/x"}),
        ("webhook", {"url": "http://169.254.169.254/latest/meta-data"}),
        ("webhook", {"url": "http://[::ffff:127.0.0.1]/"}),
        ("slack", {"url": "http://2130706433/"}),
        ("webhook", {"url": "file:///etc/passwd"}),
        ("webhook", {"url": "gopher://10.0.0.1/"}),
        ("webhook", {"url": "http://user:pass@10.0.0.1/"}),
        ("webhook", {"url": "http://10.0.0.1/\r\nX: y"}),
        ("webhook", {"url": "http://10.0.0.1/", "token": "a\r\nHost: evil"}),
        ("ntfy", {"url": "https://[::1]", "topic": "x"}),
        ("ntfy", {"url": "https://10.0.0.1", "topic": "../x"}),
        ("mail", MAIL | {"server": "127.0.0.1"}),
        ("mail", MAIL | {"recipients": "ops@example.org\r\nBcc: x@y.z"}),
        ("mail", MAIL | {"sender": "a@b.c?smtp=127.0.0.1"}),
    ],
)
def test_a_channel_to_where_nothing_must_go_is_refused(kind: str, fields: dict[str, str]):
    response = client_of("administrator").post(
        f"/channels/new/?kind={kind}", {"name": "x", "is_enabled": "on", **fields}
    )

    assert response.status_code == 422
    assert not NotificationChannel.objects.exists()


def test_a_test_is_asked_for_and_its_outcome_is_the_channels():
    channel = a_channel()

    client_of("administrator").post(f"/channels/{channel.pk}/test/")

    channel.refresh_from_db()
    assert channel.health == "being tested"
    assert channel.test_asked_by_name.startswith("administrator")


def test_the_navigation_counts_what_fires_and_is_not_silenced():
    host = host_make()
    an_alert(host)
    an_alert(vm_make(host), silenced_by="known")
    an_alert(vm_make(host), state="pending")

    assert '1 firing"' in text(client_of("viewer"), "/alerts/count/")


def test_a_host_and_a_workload_show_their_open_alerts_and_the_overview_their_number():
    host = host_make("alpha")
    vm = vm_make(host, "web-1")
    an_alert(vm, sentence="web-1 crashed badly.")
    client = client_of("viewer")

    for address in (f"/hosts/{host.pk}/", f"/workloads/{vm.pk}/"):
        assert "web-1 crashed badly." in text(client, address)
    assert "1 warning alert.</strong>" in text(client, "/")


def test_the_page_of_an_alert_tells_who_was_told():
    alert, now = an_alert(host_make()), timezone.now()
    channel = a_channel("Night shift")
    AlertNotice.objects.create(
        alert=alert,
        channel=channel,
        event="fired",
        state="waiting",
        attempts=2,
        failure="It answered with status 500.",
        next_try_at=now,
        created_at=now,
    )

    page = text(client_of("viewer"), f"/alerts/{alert.pk}/")

    assert "Night shift" in page and "status 500" in page
