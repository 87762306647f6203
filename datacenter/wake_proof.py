"""Which hosts may go dark by a plan: those that have woken lately, as far as the site's policy asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from datacenter.models import Policy
from hosts import states as host_states
from hosts.models import Host, Wake
from hosts.wake_times import WakeTimes, seconds_of, wake_times, wakes_of


@dataclass(frozen=True)
class WakeProofs:
    """The wakes of a site's hosts, judged by its policy for one kind of plan."""

    policy: Policy
    now: datetime
    is_needed: bool
    times: WakeTimes  # of the whole site
    wakes: Mapping[Any, list[Wake]]  # of each host, oldest first

    def last_wake(self, host: Host) -> Wake | None:
        """The newest, passed or not."""
        return next(reversed(self.wakes.get(host.pk, [])), None)

    def why_not_proven(self, host: Host) -> str:
        """Why nobody can be sure that the host wakes, whatever the policy asks for; empty when it is proven."""
        if host.quarantined_at is not None:
            return f"{host.name} did not wake when it was asked to, and is in quarantine."
        last = self.last_wake(host)
        days = self.policy.wake_proof_days
        if last is None:
            return f"{host.name} was never seen to wake. Run a wake drill first."
        if not last.passed:
            return f"{host.name} did not wake the last time it was asked to. Run a wake drill first."
        if last.began_at < self.now - timedelta(days=days):
            return f"{host.name} woke {days} days ago or longer. Run a wake drill first."
        return ""

    def why_unproven(self, host: Host) -> str:
        """Why this kind of plan must not switch the host off; empty when it may."""
        return self.why_not_proven(host) if self.is_needed or host.quarantined_at is not None else ""

    def why_stays_on(self, host: Host) -> str:
        """Why this kind of plan cannot switch the host off; empty when it can."""
        return self.why_no_power(host) or self.why_unproven(host)

    @staticmethod
    def why_no_power(host: Host) -> str:
        """Why nobody can switch the host at all; empty when one can."""
        if not host_states.has_bmc(host):
            return f"{host.name} has no BMC on record, so nobody could wake it."
        return host_states.why_no_switching(host) or ""

    def wake_s(self, host: Host) -> float | None:
        """How long the host's waking may take: its own p95, or the site's where it was never timed itself."""
        own = wake_times(seconds_of(self.wakes.get(host.pk, [])))
        return own.p95_s if own.count else self.times.p95_s


def wake_proofs(policy: Policy, now: datetime, *, is_automatic: bool) -> WakeProofs:
    """The site's proofs; one query. `is_automatic`: for a plan behind which stands no person."""
    rows = wakes_of(policy.site, now)
    wakes: dict[Any, list[Wake]] = {}
    for wake in rows:
        wakes.setdefault(wake.host_id, []).append(wake)
    wanted = policy.require_wake_proof
    is_needed = wanted == Policy.WakeProof.ALWAYS or (wanted == Policy.WakeProof.AUTOMATIC and is_automatic)
    return WakeProofs(policy, now, is_needed, wake_times(seconds_of(rows)), wakes)
