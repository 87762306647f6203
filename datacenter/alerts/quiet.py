"""Why nobody is told of an alert: its host is in maintenance or being switched, or somebody asked for silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import Q

from datacenter.alerts.events import hosts_being_switched
from datacenter.models import Alert, Silence
from hosts.models import Host


def quiet_hosts() -> dict[Any, str]:
    """By host id, why alerts of the host and of what is on it are kept quiet; two queries."""
    being_switched = hosts_being_switched()
    rows = Host.objects.filter(Q(is_in_maintenance=True) | Q(desired_power=Host.Power.OFF) | Q(pk__in=being_switched))
    return {host.pk: _why(host, str(host.pk) in being_switched) for host in rows.only("name", "is_in_maintenance")}


def _why(host: Host, is_being_switched: bool) -> str:
    if host.is_in_maintenance:
        return f"{host.name} is in maintenance."
    return f"{host.name} is being switched." if is_being_switched else f"{host.name} was switched off from here."


def silences_now(now: datetime) -> list[Silence]:
    return list(Silence.objects.filter(until__gt=now))


def fits(silence: Silence, alert: Alert) -> bool:
    """Whether the silence is about the alert: all that it names must be so."""
    pairs = (
        (silence.rule_id, alert.rule_id),
        (silence.site_id, alert.site_id),
        (silence.host_id, alert.host_id),
        (silence.thing_kind, alert.thing_kind),
        (silence.thing_id, alert.thing_id),
    )
    return all(asked == is_ for asked, is_ in pairs if asked)


def quieting(now: datetime) -> Callable[[Alert], str]:
    """A function that says why an alert is kept quiet; empty where it is not. The database is read here alone."""
    hosts, silences = quiet_hosts(), silences_now(now)

    def why(alert: Alert) -> str:
        if alert.host_id in hosts:
            return hosts[alert.host_id]
        silence = next((one for one in silences if fits(one, alert)), None)
        if silence is None:
            return ""
        return f"Silenced by {silence.by_name} until {silence.until:%Y-%m-%d %H:%M} UTC: {silence.reason}"[:300]

    return why
