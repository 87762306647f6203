"""Rules, channels and stores for tests of alerts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from django.utils import timezone

from datacenter.metrics.store import MetricsStore, Sample
from datacenter.models import Alert, AlertRule, NotificationChannel
from datacenter.services.alerting import Round, alerts_evaluate
from hosts.credentials import password_encrypt
from hosts.models import Host
from tests.factories import host_make
from workloads.models import Workload

_numbers = itertools.count(1)
LIMIT_S = 60.0  # a round in a test is never cut short by a busy machine


def a_rule(event: str = "", metric: str = "", channels: Iterable[NotificationChannel] = (), **values: Any) -> AlertRule:
    given = {"name": f"rule {next(_numbers)}", "kind": "event" if event else "metric", "event": event, "metric": metric}
    rule = AlertRule.objects.create(**(given | values))
    rule.channels.set(channels)
    return rule


def a_channel(name: str = "", **values: Any) -> NotificationChannel:
    given: dict[str, Any] = {
        "name": name or f"channel {next(_numbers)}",
        "kind": "webhook",
        "address_encrypted": password_encrypt("json://hooks.example.org/x"),
        "shown": "https://hooks.example.org/…",
    }
    return NotificationChannel.objects.create(**(given | values))


def an_alert(thing: Host | Workload, rule: AlertRule | None = None, **values: Any) -> Alert:
    """A firing alert about a host or a workload."""
    rule, now = rule or a_rule("host_lost"), timezone.now()
    kind = "host" if isinstance(thing, Host) else thing.kind
    given: dict[str, Any] = {"rule": rule, "rule_name": rule.name, "severity": rule.severity, "state": "firing"}
    given |= {"thing_kind": kind, "thing_id": str(thing.pk), "thing_name": thing.name, "sentence": "It is wrong."}
    given |= {"host": thing if isinstance(thing, Host) else thing.host, "site": None}
    given |= {"since": now, "fired_at": now, "last_seen_at": now}
    return Alert.objects.create(**(given | values))


def only_rules_of_the_test() -> None:
    """Takes the ready rules away."""
    AlertRule.objects.all().delete()


def away() -> MetricsStore:
    """A store that does not answer."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody")

    return MetricsStore("http://store", transport=httpx.MockTransport(answer))


def quiet_store() -> MetricsStore:
    """A store that has nothing to tell."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": {"result": []}})

    return MetricsStore("http://store", transport=httpx.MockTransport(answer))


def a_round(store: MetricsStore | None = None, after_s: float = 0.0, long_store: MetricsStore | None = None) -> Round:
    """A round at so many seconds from now, with a store that has nothing to tell where none is given.

    Hosts that answered go on answering, so that the time that passes makes none of them silent.
    """
    now = timezone.now() + timedelta(seconds=after_s)
    Host.objects.filter(power=Host.Power.ON).update(last_seen_at=now)
    store = store or quiet_store()
    return alerts_evaluate(store, long_store or store, now, LIMIT_S)


def lose(host: Host) -> None:
    """The host stops answering, and the collector has marked it."""
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    Host.objects.filter(pk=host.pk).update(power=Host.Power.UNKNOWN, last_seen_at=long_ago)


def find(host: Host) -> None:
    Host.objects.filter(pk=host.pk).update(power=Host.Power.ON, last_seen_at=timezone.now())


def lost_hosts(*names: str) -> list[Host]:
    hosts = [host_make(name) for name in names]
    for host in hosts:
        lose(host)
    return hosts


def host_samples(host: Host, used: float, capacity: float, at: float, count: int = 4) -> list[Sample]:
    """The last seconds of a host's memory, in bytes."""
    labels = {"host_uuid": str(host.pk), "host": host.name, "site": host.rack.site.name}
    return [
        sample
        for number in range(count)
        for sample in (
            Sample("stowage_host_memory_used_bytes", labels, used, at - 5 * number),
            Sample("stowage_host_memory_capacity_bytes", labels, capacity, at - 5 * number),
        )
    ]
