"""How the hosts of a site wake, for its page and the API: the proof of each, and how long waking takes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from datacenter.models import Policy
from datacenter.snapshot import policy_of
from datacenter.wake_proof import wake_proofs
from hosts.models import Host, Site, Wake
from hosts.wake_times import WakeTimes, seconds_of, wake_times

BARS = 12
RECENT = 50


@dataclass(frozen=True)
class HostProof:
    """A host, its last wake, its own times, and why it is not proven (empty: it is)."""

    host: Host
    last: Wake | None
    times: WakeTimes
    why_not: str

    @property
    def word(self) -> str:
        if self.host.quarantined_at is not None:
            return "quarantined"
        return "unproven" if self.why_not else "proven"


@dataclass(frozen=True)
class Bar:
    """How many wakes took from `from_s` to `to_s`; `x`, `y` and `height` are in a picture of 120 x 40."""

    from_s: float
    to_s: float
    count: int
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class SiteWakes:
    """All that a site's page of wakes shows."""

    site: Site
    policy: Policy
    times: WakeTimes
    hosts: list[HostProof]
    bars: list[Bar]
    recent: list[Wake]

    @property
    def unproven(self) -> list[HostProof]:
        return [row for row in self.hosts if row.why_not]

    @property
    def reserve(self) -> str:
        """What may be counted on of the hosts that are off."""
        off = [row for row in self.hosts if row.host.power == Host.Power.OFF]
        sure = [row for row in off if not row.why_not]
        if not off:
            return "No host is off, so none can be woken when work comes."
        counted = f"{len(sure)} of {len(off)} hosts that are off can be counted on"
        if not sure or self.times.p95_s is None:
            return f"{counted}."
        return f"{counted}, within {self.times.p95_s:.0f} s: 95 of 100 wakes took no longer."


def site_wakes(site: Site, now: datetime) -> SiteWakes:
    """Everything about the site's wakes of the last 180 days; three queries."""
    policy = policy_of(site)
    proofs = wake_proofs(policy, now, is_automatic=True)
    hosts = Host.objects.filter(rack__site=site, lifecycle=Host.Lifecycle.ENROLLED).select_related("bmc", "rack")
    rows = []
    for host in hosts.order_by("name"):
        why_not = proofs.why_no_power(host) or proofs.why_not_proven(host)
        own = wake_times(seconds_of(proofs.wakes.get(host.pk, [])))
        rows.append(HostProof(host, proofs.last_wake(host), own, why_not))
    wakes = sorted((wake for one in proofs.wakes.values() for wake in one), key=lambda wake: wake.began_at)
    return SiteWakes(site, policy, proofs.times, rows, bars_of(seconds_of(wakes)), wakes[::-1][:RECENT])


def bars_of(seconds: list[float]) -> list[Bar]:
    """The distribution in twelve bars of equal width from nothing to the longest; empty without wakes."""
    if not seconds:
        return []
    width = max(seconds) / BARS or 1.0
    counts = Counter(min(BARS - 1, int(value / width)) for value in seconds)
    highest = max(counts.values())
    return [
        Bar(n * width, (n + 1) * width, counts[n], n * 10 + 1, 40 - 38 * counts[n] / highest, 38 * counts[n] / highest)
        for n in range(BARS)
    ]
