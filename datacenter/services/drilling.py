"""Wake drills by schedule: of each empty host every so many days, one at a time in a site, within its reserve."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from datacenter import planner as engine
from datacenter.models import Plan, Policy, Recovery
from datacenter.planner import model as planner
from datacenter.snapshot import data_center_read, planner_policy
from datacenter.wake_proof import wake_proofs
from hosts.errors import Refused
from hosts.models import Host, Operation
from hosts.operations.lease import lease_holder
from hosts.services import drill_start
from hosts.states import why_not
from workloads.models import Workload

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(hours=6)  # a drill that came to nothing


def drills_begin(now: datetime) -> list[Operation]:
    """Begins the drills that are due, at most one a site. Of two at once a lease decides. Loads the planner."""
    begun = []
    for policy in Policy.objects.exclude(drill_every_days=None).select_related("site"):
        host = drill_due(policy, now)
        if host is not None:
            with contextlib.suppress(Refused):  # somebody else was faster
                begun.append(drill_start(None, host))
    return begun


def drill_due(policy: Policy, now: datetime) -> Host | None:
    """The host of the site whose drill is due the longest and may be done now, or None."""
    site = policy.site
    is_busy = (
        lease_holder("drills_of_site", site.pk) is not None
        or Plan.objects.filter(site=site, state__in=[Plan.State.RUNNING, Plan.State.STOPPED], finished_at=None).exists()
        or Recovery.objects.filter(host__rack__site=site, finished_at=None).exists()
    )
    if is_busy or policy.drill_every_days is None:
        return None
    before = now - timedelta(days=policy.drill_every_days)
    proofs = wake_proofs(policy, now, is_automatic=True)
    due = []
    for host in _empty_hosts(policy, now):
        last = proofs.last_wake(host)
        if last is None or last.began_at < before:
            due.append((last.began_at.timestamp() if last else 0.0, host.name, host))
    world, rules = data_center_read(site, now), planner_policy(policy)
    return next((host for _, _, host in sorted(due, key=lambda row: row[:2]) if is_spare(world, rules, host)), None)


def _empty_hosts(policy: Policy, now: datetime) -> list[Host]:
    """Hosts that are on with nothing on them, that a drill may be tried on."""
    tried = Operation.objects.filter(kind="host_wake_drill", created_at__gt=now - AGAIN_AFTER)
    rows = (
        Host.objects.filter(rack__site=policy.site, power=Host.Power.ON, desired_power=Host.Power.ON)
        .filter(quarantined_at=None, is_in_maintenance=False, job=None)
        .exclude(pk__in=tried.exclude(host=None).values("host"))
        .exclude(workloads__in=Workload.objects.exclude(state=Workload.State.GONE))
        .select_related("bmc", "rack__site")
    )
    return [host for host in rows if why_not(host, "wake_drill", now=now) is None]


def is_spare(world: planner.DataCenter, policy: planner.Policy, host: Host) -> bool:
    """Whether the site's warm reserve and its N+k hold while the host is away."""
    gone = str(host.pk)
    busy = {row.host for row in world.workloads}
    empty = [one for one in world.hosts if one.is_on and one.accepts_work and one.id not in busy and one.id != gone]
    if len(empty) < policy.spare_hosts:
        return False
    if not policy.survive_failures and not policy.survive_rack:
        return True
    without = replace(world, hosts=tuple(replace(one, is_on=False) if one.id == gone else one for one in world.hosts))
    return engine.survives(without, policy, policy.survive_failures).holds
