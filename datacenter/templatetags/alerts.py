"""Open alerts on the pages of other things, and the words of rules."""

from __future__ import annotations

from typing import Any

from django import template

from datacenter.alerts.lists import alerts_about, firing_counts
from datacenter.models import Recovery
from hosts.models import Host
from workloads.models import Workload

register = template.Library()
SHOWN_MOST = 5


@register.inclusion_tag("datacenter/_alerts_about.html")
def open_alerts(thing: Host | Workload) -> dict[str, Any]:
    """The alerts that fire about a host and what is on it, or about a workload."""
    found = list(alerts_about(thing)[: SHOWN_MOST + 1])
    return {"alerts": found[:SHOWN_MOST], "has_more": len(found) > SHOWN_MOST, "thing": thing}


@register.inclusion_tag("datacenter/_alerts_line.html")
def alerts_line() -> dict[str, Any]:
    """How many alerts fire, by severity."""
    counts = firing_counts()
    said = ", ".join(f"{count} {word}" for word, count in counts.items())
    return {"said": said, "count": sum(counts.values()), "is_critical": "critical" in counts}


@register.inclusion_tag("datacenter/_recovery_line.html")
def recovery_of(host: Host) -> dict[str, Any]:
    """The newest loss of a host, if it was ever lost."""
    return {"recovery": Recovery.objects.filter(host=host).first()}
